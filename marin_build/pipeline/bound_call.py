"""A step function with its arguments: what `@step` puts into `StepSpec.fn`."""

from __future__ import annotations

import functools
import inspect
import os
import pathlib
import types
import typing
from collections import ChainMap
from dataclasses import dataclass, is_dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from marin_build.errors import MarinBuildError, SpecificationError
from marin_build.identity.callables import Bound, StandsForFunction
from marin_build.pipeline import runtime_calls
from marin_build.pipeline.declared_at import shown_here
from marin_build.pipeline.not_a_step import described, how_to_declare
from marin_build.pipeline.source import Source
from marin_build.pipeline.stands_for import StandsForLaterSteps
from marin_build.pipeline.step_spec import StepSpec
from marin_build.workspace.places import is_url

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping


_PATH_TYPES = (pathlib.Path, pathlib.PurePath, pathlib.PosixPath, os.PathLike)
_JSON_TYPES = {dict, list, tuple, int, float, bool}


class Parameter(NamedTuple):
    """A parameter's name, and `*` or `**` for those that take any number of arguments."""

    name: str
    variadic: str


def parameter_of(parameter: inspect.Parameter) -> Parameter:
    """Return what `@step` must know of a parameter."""
    stars: dict[object, str] = {
        inspect.Parameter.VAR_POSITIONAL: "*",
        inspect.Parameter.VAR_KEYWORD: "**",
    }
    return Parameter(parameter.name, stars.get(parameter.kind, ""))


@dataclass(frozen=True, slots=True)
class BoundCall(Bound, StandsForFunction):
    """A call waiting for its output path.

    `values` are plain arguments; `wired` are steps and sources, or containers of them.
    """

    function: Callable[..., object]
    values: Mapping[str, Any]
    wired: Mapping[str, Any]

    def __call__(self, output_path: str) -> object:
        """Call the function, with paths and artifacts in place of steps."""
        hints = type_hints(self.function)
        first = next(iter(inspect.signature(self.function).parameters))
        output = _as_path(output_path) if is_path(hints.get(first)) else output_path
        wired = {key: deliver(value, hints.get(key)) for key, value in self.wired.items()}
        values = {key: _with_paths(value, hints.get(key)) for key, value in self.values.items()}
        return self.function(output, **values, **wired)

    def bound(self) -> Mapping[str, object]:
        """Return which steps and sources each parameter stands for."""
        return self.wired

    @property
    def code_function(self) -> Callable[..., object]:
        """The function that is called."""
        return self.function

    def leaves(self) -> Iterator[tuple[str, StepSpec | Source]]:
        """Yield each step and source, with the parameter (and index or key) it is given to."""
        for key, value in self.wired.items():
            yield from _leaves(key, value)

    def problems(self, name: str, place: tuple[str, int]) -> list[MarinBuildError]:
        """Return what is wrong with the steps given as arguments of a step declared at `place`."""
        if not self.wired:
            return []
        try:
            hints = type_hints(self.function)
        except NameError as error:
            return [
                SpecificationError(
                    f"`{name}`: an annotation cannot be read: {error}",
                    facts=[("declared", shown_here(place))],
                    hint="import the annotated types outside `if TYPE_CHECKING:`",
                )
            ]
        found: list[MarinBuildError] = []
        for key, value in self.wired.items():
            problem = _problem(value, hints.get(key))
            if problem:
                found.append(
                    SpecificationError(
                        f"`{name}`: the parameter `{key}` {problem}",
                        facts=[("declared", shown_here(place))],
                        consequence="nothing was run",
                        hint=how_to_declare(_later_in(value))
                        or "annotate it as Path or str for the folder, or as the type "
                        "the step returns for its artifact",
                    )
                )
        return found


@functools.lru_cache(maxsize=1024)
def type_hints(function: Callable[..., object], *, extras: bool = False) -> dict[str, Any]:
    """Return the annotations of a function as types; `Path` is known even if not imported.

    With `extras`, `Annotated[int, Gt(0)]` stays what it is.
    """
    function = inspect.unwrap(function)
    cells = inspect.getclosurevars(function).nonlocals if hasattr(function, "__code__") else {}
    scope = ChainMap(dict(cells), getattr(function, "__globals__", {}), {"Path": pathlib.Path})
    return typing.get_type_hints(function, globalns=dict(scope), include_extras=extras)


def is_path(annotation: object) -> bool:
    """Return whether an annotation asks for a pathlib path."""
    return (typing.get_origin(annotation) or annotation) in _PATH_TYPES


def _element(annotation: Any, container: type) -> Any:
    """Return the annotation of a container's elements; None where there is none."""
    origin, args = typing.get_origin(annotation), typing.get_args(annotation)
    if container is dict:
        return args[1] if len(args) == 2 else None  # noqa: PLR2004 - key and value
    if origin is tuple and not (len(args) == 2 and args[1] is Ellipsis):  # noqa: PLR2004
        return None
    return args[0] if args else None


def _without_none(annotation: Any) -> Any:
    if typing.get_origin(annotation) in (typing.Union, types.UnionType):
        members = [arg for arg in typing.get_args(annotation) if arg is not type(None)]
        return members[0] if len(members) == 1 else annotation
    return annotation


def _as_path(place: str) -> pathlib.Path:
    """Return a local place as a path; `Path("gs://b")` would be a local folder called `gs:`.

    Raises:
        SpecificationError: it is a URL.

    """
    if is_url(place):
        raise SpecificationError(
            f"a parameter is annotated as a Path, but `{place}` is a URL",
            hint="annotate it as str, and open it with fsspec",
        )
    return pathlib.Path(place)


def return_annotation(fn: object) -> Any:
    """Return what a step's function says it returns; None where it does not say.

    `-> None` is `NoneType`.
    """
    if isinstance(fn, BoundCall):
        fn = fn.function
    if not callable(fn):
        return None
    try:
        return type_hints(annotated_function(fn)).get("return")
    except NameError:  # a name that only type checkers know
        return None


def annotated_function(called: Callable[..., object]) -> Callable[..., object]:
    """Return the function whose annotations are those of what is called: `__call__` of a value."""
    while isinstance(called, functools.partial):
        called = called.func
    called = inspect.unwrap(called)
    if inspect.isroutine(called):
        return called
    inner: Callable[..., object] = (
        called.__init__ if isinstance(called, type) else type(called).__call__  # type: ignore[misc]
    )
    return inner


def deliver(value: Any, annotation: Any) -> Any:
    """Return what a function gets for a step, a source or a container of them."""
    annotation = _without_none(annotation)
    match value:
        case Source(location=location):
            return _as_path(location) if is_path(annotation) else location
        case StepSpec() if annotation is str:
            return value.output_path
        case StepSpec() if is_path(annotation):
            return _as_path(value.output_path)
        case StepSpec():
            return runtime_calls.load_artifact(value.output_path, annotation)
        case dict():
            return {k: deliver(v, _element(annotation, dict)) for k, v in value.items()}
        case list() | tuple():
            kind = type(value)
            return kind(deliver(item, _element(annotation, kind)) for item in value)
    return value


def _with_paths(value: Any, annotation: Any) -> Any:
    """Return a plain argument with paths in place of texts where the annotation asks for them."""
    if annotation is None:
        return value
    annotation = _without_none(annotation)
    match value:
        case str() if is_path(annotation):
            return _as_path(value)
        case dict() | list() | tuple() if typing.get_args(annotation):
            return _each_with_paths(value, annotation)
    return value


def _each_with_paths(value: Any, annotation: Any) -> Any:
    """Return a container with paths in it; the container itself where nothing changes."""
    kind = dict if isinstance(value, dict) else type(value)
    element = _element(annotation, kind)
    if element is None:
        return value
    items = value.values() if kind is dict else value
    found = [_with_paths(item, element) for item in items]
    if all(new is old for new, old in zip(found, items, strict=True)):
        return value
    return dict(zip(value, found, strict=True)) if kind is dict else kind(found)


def _leaves(key: str, value: Any) -> Iterator[tuple[str, StepSpec | Source]]:
    match value:
        case StepSpec() | Source():
            yield key, value
        case dict():
            for name, item in value.items():
                yield from _leaves(f"{key}.{name}", item)
        case list() | tuple():
            for index, item in enumerate(value):
                yield from _leaves(f"{key}.{index}", item)


def _later_in(value: Any) -> StandsForLaterSteps | None:
    """Return the first expansion that a value is or holds."""
    match value:
        case StandsForLaterSteps():
            return value
        case dict():
            return next(filter(None, map(_later_in, value.values())), None)
        case list() | tuple():
            return next(filter(None, map(_later_in, value)), None)
    return None


def _problem(value: Any, annotation: Any) -> str | None:
    """Return why a step cannot be given to a parameter with this annotation."""
    if (later := _later_in(value)) is not None:
        return f"is given {described(later)}, not a step"
    annotation = _without_none(annotation)
    match value:
        case Source():
            if annotation is str or is_path(annotation):
                return None
            return f"is given a source, but is annotated {_shown(annotation)}"
        case StepSpec():
            return _step_problem(value, annotation)
        case dict():
            element = _element(annotation, dict)
            return next(filter(None, (_problem(item, element) for item in value.values())), None)
        case list() | tuple() if type(value) in (list, tuple):
            element = _element(annotation, type(value))
            return next(filter(None, (_problem(item, element) for item in value)), None)
        case list() | tuple():  # names of fields would be no part of the identity
            return f"is given steps in a {type(value).__name__}: give them in a list or a dict"
    return "mixes steps with other values"


def _step_problem(dep: StepSpec, annotation: Any) -> str | None:
    if annotation is str or is_path(annotation):
        return None
    origin = typing.get_origin(annotation) or annotation
    is_artifact = isinstance(origin, type) and (
        origin in _JSON_TYPES
        or is_dataclass(origin)
        or hasattr(origin, "model_validate")
        or typing.is_typeddict(origin)
    )
    if not is_artifact:
        return f"is given the step `{dep.name}`, but is annotated {_shown(annotation)}"
    if isinstance(dep.fn, BoundCall):
        returned = type_hints(dep.fn.function).get("return", annotation)
        if returned != annotation:
            return f"wants {_shown(annotation)}, but `{dep.name}` returns {_shown(returned)}"
    return None


def _shown(annotation: Any) -> str:
    if annotation is None:
        return "with nothing"
    return f"`{getattr(annotation, '__name__', annotation)}`"
