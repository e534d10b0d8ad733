"""A step function with its arguments: what `@step` puts into `StepSpec.fn`."""

from __future__ import annotations

import functools
import inspect
import os
import pathlib
import types
import typing
from collections import ChainMap
from typing import TYPE_CHECKING, Any, NamedTuple

from marin_build.errors import SpecificationError
from marin_build.identity.callables import Bound, StandsForFunction
from marin_build.pipeline import runtime_calls
from marin_build.pipeline.output_file import OutputFile
from marin_build.pipeline.running_function import run_function
from marin_build.pipeline.source import Source
from marin_build.pipeline.step_spec import StepSpec
from marin_build.quick_dataclass import dataclass
from marin_build.workspace.places import is_url

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping


_PATH_TYPES = (pathlib.Path, pathlib.PurePath, pathlib.PosixPath, os.PathLike)
_Leaf = StepSpec | OutputFile | Source


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

    `values` are plain arguments; `wired` are steps, files of steps and sources, or containers of
    them.
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
        return run_function(self.function, output, **values, **wired)

    def bound(self) -> Mapping[str, object]:
        """Return which steps, files of steps and sources each parameter stands for."""
        return self.wired

    @property
    def code_function(self) -> Callable[..., object]:
        """The function that is called."""
        return self.function

    def leaves(self) -> Iterator[tuple[str, _Leaf]]:
        """Yield each step and source, with the parameter (and index or key) it is given to."""
        for key, value in self.wired.items():
            yield from _leaves(key, value)

    def deps(self) -> Iterator[StepSpec]:
        """Yield the step of each argument that is one, or a file of one."""
        for _, leaf in self.leaves():
            if not isinstance(leaf, Source):
                yield leaf.step if isinstance(leaf, OutputFile) else leaf


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


def element_of(annotation: Any, container: type) -> Any:
    """Return the annotation of a container's elements; None where there is none."""
    origin, args = typing.get_origin(annotation), typing.get_args(annotation)
    if container is dict:
        return args[1] if len(args) == 2 else None  # noqa: PLR2004 - key and value
    if origin is tuple and not (len(args) == 2 and args[1] is Ellipsis):  # noqa: PLR2004
        return None
    return args[0] if args else None


def without_none(annotation: Any) -> Any:
    """Return `T` of `T | None`; any other annotation as it is."""
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
            hint='annotate it as str, and open files in it as `fsspec.open(f"{output}/x", "w")`',
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
    annotation = without_none(annotation)
    match value:
        case Source(location=location):
            return _as_path(location) if is_path(annotation) else location
        case OutputFile():
            runtime_calls.check_output_file(value)
            return _as_path(value.location) if is_path(annotation) else value.location
        case StepSpec() if annotation is str:
            return value.output_path
        case StepSpec() if is_path(annotation):
            return _as_path(value.output_path)
        case StepSpec():
            return runtime_calls.load_artifact(value.output_path, annotation)
        case dict():
            return {k: deliver(v, element_of(annotation, dict)) for k, v in value.items()}
        case list() | tuple():
            kind = type(value)
            return kind(deliver(item, element_of(annotation, kind)) for item in value)
    return value


def _with_paths(value: Any, annotation: Any) -> Any:
    """Return a plain argument with paths in place of texts where the annotation asks for them."""
    if annotation is None:
        return value
    annotation = without_none(annotation)
    match value:
        case str() if is_path(annotation):
            return _as_path(value)
        case dict() | list() | tuple() if typing.get_args(annotation):
            return _each_with_paths(value, annotation)
    return value


def _each_with_paths(value: Any, annotation: Any) -> Any:
    """Return a container with paths in it; the container itself where nothing changes."""
    kind = dict if isinstance(value, dict) else type(value)
    element = element_of(annotation, kind)
    if element is None:
        return value
    items = value.values() if kind is dict else value
    found = [_with_paths(item, element) for item in items]
    if all(new is old for new, old in zip(found, items, strict=True)):
        return value
    return dict(zip(value, found, strict=True)) if kind is dict else kind(found)


def _leaves(key: str, value: Any) -> Iterator[tuple[str, _Leaf]]:
    match value:
        case StepSpec() | OutputFile() | Source():
            yield key, value
        case dict():
            for name, item in value.items():
                yield from _leaves(f"{key}.{name}", item)
        case list() | tuple():
            for index, item in enumerate(value):
                yield from _leaves(f"{key}.{index}", item)
