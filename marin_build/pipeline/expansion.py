"""`@expand`: steps that are known only once another step is built, and their function.

The function gets what was built, and returns the steps that follow from it. It is called while a
pipeline is loaded, in each process that loads it, so it must return the same steps for the same
values. Its own code is no identity: what it returns has one, as any step.
"""

from __future__ import annotations

import inspect
from collections import OrderedDict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from marin_build.errors import MarinBuildError, SpecificationError
from marin_build.pipeline import runtime_calls
from marin_build.pipeline.bound_call import deliver, return_annotation, type_hints
from marin_build.pipeline.declared_at import declaring_place, shown_here
from marin_build.pipeline.not_a_step import described
from marin_build.pipeline.output_file import OutputFile
from marin_build.pipeline.stands_for import StandsForLaterSteps, StandsForStep
from marin_build.pipeline.step_spec import StepSpec

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from collections.abc import Set as AbstractSet
    from types import FunctionType

    from marin_build.pipeline.offered_steps import Offered


EVERY = "*"
"""Stands for the ids of all targets, where none counts as built."""


@dataclass(frozen=True, slots=True, eq=False)
class Expansion(StandsForLaterSteps):
    """Steps that a function returns once the steps whose values it gets are built.

    Args:
        function: the undecorated function; a test of a pipeline may call it.
        name: stands for its steps where targets are chosen: the function's, with `-` for `_`.
        wired: by parameter, the steps whose values it gets, or containers of them.
        declared: where, file and line.

    """

    function: Callable[..., object]
    name: str
    wired: Mapping[str, Any] = field(repr=False)
    declared: tuple[str, int]

    @property
    def sources(self) -> tuple[StepSpec, ...]:
        """The steps that must be built before its own are known, in the order of parameters."""
        return tuple(dict.fromkeys(step for value in self.wired.values() for step in _in(value)))

    @property
    def place(self) -> str:
        """Where it was declared, `file:line`."""
        return shown_here(self.declared)

    def __call__(self, *_args: object, **_kwargs: object) -> object:
        """Refuse a call: the function is called once there are values for it."""
        waits = ", ".join(f"`{step.name}`" for step in self.sources)
        raise SpecificationError(
            f"the expansion `{self.name}` was called, and {waits} may not be built yet",
            facts=[("declared", self.place)],
            consequence="nothing was run",
            hint=f"return it uncalled, beside the steps: return [..., {self.function.__name__}]",
        )

    def values(self) -> inspect.BoundArguments:
        """Read what the function gets, from where its sources were built.

        A parameter annotated `str` or `Path` gets the output path, any other one the artifact: as
        the type that it is annotated with, else as the type that the step says it returns.

        Raises:
            MarinBuildError: there is no artifact, or it does not fit the type.

        """
        hints, signature = type_hints(self.function), inspect.signature(self.function)
        values: OrderedDict[str, Any] = OrderedDict()
        for name, value in self.wired.items():
            match signature.parameters[name].kind:
                case inspect.Parameter.VAR_POSITIONAL:
                    values[name] = tuple(_value(item, hints.get(name)) for item in value)
                case inspect.Parameter.VAR_KEYWORD:
                    values[name] = {k: _value(item, hints.get(name)) for k, item in value.items()}
                case _:
                    values[name] = _value(value, hints.get(name))
        return inspect.BoundArguments(signature, values)


@dataclass(frozen=True, slots=True, eq=False)
class Expanded:
    """What is known of an expansion.

    Args:
        expansion: which one.
        within: the expansion whose function returned it; None: the pipeline did.
        steps: what its function returned; None: it was not called.
        error: why its function gave no steps although all is built; None: nothing is wrong.

    """

    expansion: Expansion
    within: Expansion | None = None
    steps: tuple[StepSpec, ...] | None = None
    error: MarinBuildError | None = None

    @property
    def is_open(self) -> bool:
        """Whether its function was not called."""
        return self.steps is None and self.error is None

    def waits(self, unbuilt: AbstractSet[str]) -> bool:
        """Return whether something that it needs is among the ids of targets that are not built."""
        if EVERY in unbuilt:
            return True
        return any(step.target_id in unbuilt for step in self.expansion.sources)

    @property
    def roots(self) -> tuple[StepSpec, ...]:
        """The steps that it adds to a pipeline: those that it needs, and those that it returned."""
        return (*self.expansion.sources, *(self.steps or ()))


def expand(*sources: Any, **named: Any) -> Callable[[Callable[..., object]], Expansion]:
    """Make a function return further steps once steps are built.

    ```python
    @expand(split)
    def shards(found: dict[str, int]) -> list[StepSpec]:
        return [count(split, part=i) for i in range(found["shards"])]
    ```

    Args:
        sources, named: the steps whose values the function gets, by position and by name; a list
            or a dict of steps gives a list or a dict of values.

    Raises:
        SpecificationError: an argument is no step, or the function does not take them.

    """
    place = declaring_place()

    def decorate(function: Callable[..., object]) -> Expansion:
        name = function.__name__.replace("_", "-")
        given = [_as_steps(value, name, place) for value in sources]
        by_name = {key: _as_steps(value, name, place) for key, value in named.items()}
        if not given and not by_name:
            raise _error(name, place, "names no step whose value it waits for")
        try:
            bound = inspect.signature(function).bind(*given, **by_name)
        except TypeError as error:
            takes = ", ".join(inspect.signature(function).parameters)
            raise _error(name, place, f"does not take them: {error}", takes=takes) from None
        return Expansion(function, name, dict(bound.arguments), place)

    if len(sources) == 1 and not named and inspect.isfunction(sources[0]):
        bare: FunctionType = sources[0]
        raise _error(bare.__name__, place, "names no step whose value it waits for")
    return decorate


def _error(name: str, place: tuple[str, int], what: str, takes: str = "") -> SpecificationError:
    return SpecificationError(
        f"the expansion `{name}` {what}",
        facts=[("declared", shown_here(place)), *([("it takes", takes)] if takes else [])],
        consequence="nothing was run",
        hint="@expand(split) gives the function what the step `split` returned",
    )


def _as_steps(value: Any, name: str, place: tuple[str, int]) -> Any:
    """Return an argument with the steps that its values stand for."""
    match value:
        case StepSpec() | OutputFile():
            return value
        case StandsForStep():
            return value.lowered_step
        case StandsForLaterSteps():
            raise SpecificationError(
                f"the expansion `{name}` waits for {described(value)}, which is no step",
                facts=[("declared", shown_here(place))],
                consequence="nothing was run",
                hint="return it from the other one's function: expansions may be nested",
            )
        case list() | tuple() if value:
            return [_as_steps(item, name, place) for item in value]
        case dict() if value:
            return {key: _as_steps(item, name, place) for key, item in value.items()}
    if (step := runtime_calls.step_of_marin(value)) is not None:
        return step
    raise _error(name, place, f"waits for {described(value)}, not a step")


def _in(value: Any) -> Iterator[StepSpec]:
    match value:
        case StepSpec():
            yield value
        case OutputFile():
            yield value.step
        case dict():
            for item in value.values():
                yield from _in(item)
        case list() | tuple():
            for item in value:
                yield from _in(item)


def _value(value: Any, annotation: Any) -> Any:
    """Return what a function gets for a step or a container of steps."""
    if annotation is not None or isinstance(value, OutputFile):
        return deliver(value, annotation)
    match value:
        case StepSpec():
            returns = return_annotation(value.fn)
            returns = None if returns is type(None) else returns
            return runtime_calls.load_artifact(value.output_path, returns)
        case dict():
            return {key: _value(item, None) for key, item in value.items()}
        case _:
            return [_value(item, None) for item in value]


def expansions_in(
    offered: Iterable[Offered], within: Expansion | None = None
) -> tuple[Expanded, ...]:
    """Return the expansions among what a pipeline offers, or what one of them returned."""
    return tuple(
        Expanded(each, within) for each in dict.fromkeys(offered) if isinstance(each, Expansion)
    )
