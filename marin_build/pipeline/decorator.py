"""`@step`: a function whose call declares a step.

Arguments that are steps become dependencies, sources become inputs, and all others, defaults
included, become identity attributes, so that the author cannot forget one.
"""

from __future__ import annotations

import copy
import functools
import inspect
import re
from dataclasses import dataclass, replace
from typing import (
    TYPE_CHECKING,
    Any,
    Concatenate,
    Generic,
    ParamSpec,
    TypeVar,
    Unpack,
    overload,
)

from marin_build.errors import SpecificationError, refuse
from marin_build.identity.callables import StandsForFunction
from marin_build.identity.canonical import FrozenDict
from marin_build.pipeline import runtime_calls
from marin_build.pipeline.argument_types import type_errors
from marin_build.pipeline.bound_call import BoundCall, Parameter, parameter_of
from marin_build.pipeline.declared_at import declaring_place, shown_here
from marin_build.pipeline.output_file import OutputFile
from marin_build.pipeline.placed import Placed
from marin_build.pipeline.running_function import generator_problem, refuse_declaring
from marin_build.pipeline.source import Source
from marin_build.pipeline.stands_for import StandsForLaterSteps, StandsForStep
from marin_build.pipeline.step_arguments import step_errors
from marin_build.pipeline.step_options import StepOptions, check_options
from marin_build.pipeline.step_spec import DeclaredStep, StepSpec
from marin_build.text.readable import did_you_mean

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


P = ParamSpec("P")
R = TypeVar("R")
Out = TypeVar("Out")

_NAME_FIELD = re.compile(r"\{([A-Za-z_]\w*)\}")


@dataclass(frozen=True, slots=True)
class StepFunction(StandsForFunction, Generic[P, R]):
    """A function that declares a step when it is called; `function` is the undecorated one."""

    function: Callable[..., R]
    name: str
    settings: StepOptions

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> DeclaredStep:
        """Declare a step with these arguments."""
        refuse_declaring(getattr(self.function, "__name__", self.name))
        place = declaring_place()
        arguments, given = self._bind(args, kwargs, place)
        values: dict[str, Any] = {}
        wired: dict[str, Any] = {}
        for key, value in arguments.items():
            if _has_step(value):
                wired[key] = _copied(value)
            else:
                values[key] = _kept(value)
        call = BoundCall(self.function, FrozenDict(values), FrozenDict(wired))
        for error in step_errors(call, self.name, place):
            refuse(error)
        plain = {key: value for key, value in values.items() if key in given}
        for mistyped in type_errors(self.function, plain, self.name, place):
            refuse(mistyped)
        return DeclaredStep(
            name=self._step_name(values, place),
            fn=call,
            deps=tuple(call.deps()),
            inputs={key: leaf for key, leaf in call.leaves() if isinstance(leaf, Source)},
            hash_attrs=values,
            declared=place,
            **self.settings,
        )

    @property
    def code_function(self) -> Callable[..., R]:
        """The undecorated function."""
        return self.function

    def options(
        self, *, name: str | None = None, **options: Unpack[StepOptions]
    ) -> StepFunction[P, R]:
        """Return the same function with another name or other options for its steps."""
        check_options("options", options)
        return replace(self, name=name or self.name, settings={**self.settings, **options})

    def _bind(
        self, args: Any, kwargs: Any, place: tuple[str, int]
    ) -> tuple[Mapping[str, Any], frozenset[str]]:
        """Return all arguments, and the names of those that are not defaults."""
        signature = _signature(self.function)
        try:
            bound = signature.bind(*args, **kwargs)
        except TypeError as error:
            takes = list(signature.parameters)
            unknown = next((key for key in kwargs if key not in takes), None)
            raise SpecificationError(
                f"`{self.name}`: {error}",
                facts=[
                    ("declared", shown_here(place)),
                    ("it takes", ", ".join(takes) or "nothing"),
                ],
                hint=None if unknown is None else did_you_mean(unknown, takes),
            ) from None
        given = frozenset(bound.arguments)
        bound.apply_defaults()
        return bound.arguments, given

    def _step_name(self, values: Mapping[str, Any], place: tuple[str, int]) -> str:
        def fill(found: re.Match[str]) -> str:
            key = found[1]
            if key not in values:
                refuse(
                    SpecificationError(
                        f"the name `{self.name}` uses `{{{key}}}`, which is no attribute",
                        facts=[
                            ("declared", shown_here(place)),
                            ("attributes", ", ".join(values) or "none"),
                        ],
                    )
                )
            return str(values.get(key, "x"))

        return _NAME_FIELD.sub(fill, self.name)


@functools.cache
def _signature(function: Callable[..., object]) -> inspect.Signature:
    """Return the signature of a step function without its injected `output`."""
    signature = inspect.signature(function)
    parameters = list(signature.parameters.values())
    return signature.replace(parameters=parameters[1:])


def _has_step(value: object) -> bool:
    """Return whether a value is, or a container holds, a step, a file of one, or a source.

    An expansion counts, too: it is refused with the arguments that are steps.
    """
    if value is None or isinstance(value, str | int | float):
        return False
    match value:
        case StepSpec() | OutputFile() | Source() | StandsForStep() | StandsForLaterSteps():
            return True
        case list() | tuple():
            return any(_has_step(item) for item in value)
        case dict():
            return any(_has_step(item) for item in value.values())
    return runtime_calls.step_of_marin(value) is not None


def _copied(value: Any) -> Any:
    """Return copies of containers of steps; the author may change the originals later.

    What stands for a step becomes that step.
    """
    match value:
        case StandsForStep():
            return value.lowered_step
        case list() | tuple() if type(value) in (list, tuple):
            return type(value)(_copied(item) for item in value)
        case dict():
            return {key: _copied(item) for key, item in value.items()}
        case StepSpec() | OutputFile() | Source():
            return value
    return runtime_calls.step_of_marin(value) or value


def _kept(value: Any) -> Any:
    """Return an argument as it is now."""
    if value is None or isinstance(value, str | int | float | bool):
        return value
    try:
        return copy.deepcopy(value)
    except Exception:  # noqa: BLE001 - what cannot be copied has no canonical form: refused later
        return value


@overload
def step(
    function: Callable[Concatenate[Out, P], R],
    /,
    *,
    name: str | None = None,
    **options: Unpack[StepOptions],
) -> StepFunction[P, R]: ...
@overload
def step(
    *, name: str | None = None, **options: Unpack[StepOptions]
) -> Callable[[Callable[Concatenate[Out, P], R]], StepFunction[P, R]]: ...
def step(
    function: Callable[Concatenate[Out, P], R] | None = None,
    /,
    *,
    name: str | None = None,
    **options: Unpack[StepOptions],
) -> StepFunction[P, R] | Callable[[Callable[Concatenate[Out, P], R]], StepFunction[P, R]]:
    """Make a function declare a step when it is called.

    The first parameter must be called `output`; it is injected: an existing folder, as str or
    Path by its annotation. A parameter that is given a step gets its output path when it is
    annotated `str` or `Path`, else its artifact, loaded as the annotated type. One that is given a
    file of a step, `step / "a.txt"`, gets the path of that.

    Args:
        function: the function, for bare `@step` and for `step(function, name=...)`.
        name: the step's name; `{param}` is replaced by the attribute. Default: the function's.
        options: the fields of StepSpec that are not arguments.

    Raises:
        SpecificationError: a signature that cannot be a step's.

    """
    check_options("step", options)

    def decorate(function: Callable[Concatenate[Out, P], R]) -> StepFunction[P, R]:
        _check_signature(function)
        return StepFunction(function, name or function.__name__.replace("_", "-"), options)

    return decorate if function is None else decorate(function)


def _check_signature(function: Callable[..., object]) -> None:
    if isinstance(function, Placed):
        raise SpecificationError(
            "`@step` cannot wrap a `remote` function",
            hint="leave out `@remote` and give the resources to `@step(resources=...)`",
        )
    parameters: list[Parameter] = [
        parameter_of(p) for p in inspect.signature(function).parameters.values()
    ]
    place = shown_here((function.__code__.co_filename, function.__code__.co_firstlineno))
    if (problem := generator_problem(function)) is not None:
        raise SpecificationError(
            f"the step `{function.__name__}` {problem}",
            facts=[("declared", place)],
            consequence="nothing was run",
            hint="write files into `output` instead, or return a list",
        )
    if not parameters or parameters[0].name != "output" or parameters[0].variadic:
        raise SpecificationError(
            f"the first parameter of the step `{function.__name__}` is not `output`",
            facts=[("declared", place)],
            hint=f"def {function.__name__}(output: Path, ...)",
        )
    for parameter in parameters:
        if parameter.variadic:
            raise SpecificationError(
                f"the step `{function.__name__}` takes `{parameter.variadic}{parameter.name}`",
                facts=[("declared", place)],
                consequence="attributes need names",
            )
