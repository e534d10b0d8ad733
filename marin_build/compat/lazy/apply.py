"""apply: an artifact that a function makes from keyword arguments, instead of from a config."""

from __future__ import annotations

import inspect
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final, TypeVar, overload

from marin_build.compat.build_context import resolve_version
from marin_build.compat.lazy.artifact_step import ArtifactStep, artifact_class
from marin_build.errors import SpecificationError
from marin_build.identity.callables import StandsForFunction
from marin_build.runtime.remote import RemoteCallable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from marin_build.compat.artifact import Artifact
    from marin_build.compat.lazy.context import StepContext


T = TypeVar("T", bound="Artifact")


class UnbindableInputsError(SpecificationError, TypeError):
    """A function cannot be called with the inputs that were given."""


class _Out:
    """Stands for the output path of the step."""

    def __repr__(self) -> str:
        return "OUT"

    def __reduce__(self) -> str:
        return "OUT"  # there is one: a copy in another process is that one, too


OUT: Final = _Out()
"""Among the inputs of `apply`: the path where the step's own output goes."""


@overload
def apply(
    name: str,
    fn: Callable[..., Any],
    *,
    version: str | None = None,
    artifact_type: None = None,
    pin: str | None = None,
    **inputs: Any,
) -> ArtifactStep[Artifact]: ...
@overload
def apply(
    name: str,
    fn: Callable[..., Any],
    *,
    version: str | None = None,
    artifact_type: type[T],
    pin: str | None = None,
    **inputs: Any,
) -> ArtifactStep[T]: ...
def apply(
    name: str,
    fn: Callable[..., Any],
    *,
    version: str | None = None,
    artifact_type: type[Artifact] | None = None,
    pin: str | None = None,
    **inputs: Any,
) -> ArtifactStep[Any]:
    """Return the artifact that `fn(**inputs)` makes.

    Args:
        name: of the artifact.
        fn: the function; it may be a `remote(...)`.
        version: of the artifact; None: what the run says, see `resolve_version`.
        artifact_type: the class of what it returns; default: Artifact.
        pin: where the output lies instead; see `override_path` of ArtifactStep.
        inputs: its arguments. An artifact, also in a list, tuple or dict, becomes a dependency, and
            its path is given; `OUT` becomes the step's output path. All others are identity.

    Raises:
        UnbindableInputsError: the function does not take these arguments; a TypeError.
        SpecificationError: no version is given, or an illegal one; a ValueError.

    """
    version = resolve_version(name, version)
    try:
        inspect.signature(fn).bind(**inputs)
    except TypeError as error:
        called = getattr(fn, "__name__", repr(fn))
        raise UnbindableInputsError(
            f"the artifact `{name}`: `{called}` cannot be called with these inputs: {error}",
            facts=[("given", ", ".join(inputs))],
            consequence="nothing was run",
        ) from None
    return ArtifactStep(
        name=name,
        version=version,
        artifact_type=artifact_class(artifact_type),
        run=_with_keywords(fn),
        build_config=_Inputs(inputs),
        deps=tuple(dict.fromkeys(_artifacts_in(inputs))),
        override_path=pin,
    )


def _with_keywords(fn: Callable[..., Any]) -> Callable[[Any], Any]:
    """Return a function of the config; a `remote` function runs where it says, with its inputs."""
    if isinstance(fn, RemoteCallable):
        return replace(fn, fn=_WithKeywords(fn.fn))
    return _WithKeywords(fn)


@dataclass(frozen=True, slots=True)
class _WithKeywords(StandsForFunction):
    """Calls a function with the items of a config as keyword arguments."""

    fn: Callable[..., Any]

    def __call__(self, config: Mapping[str, Any]) -> Any:
        return self.fn(**config)

    @property
    def code_function(self) -> object:
        """The function, as code digests read it."""
        return self.fn


@dataclass(frozen=True, slots=True, eq=False)
class _Inputs:
    """Builds the config: the inputs, with paths in the places of artifacts and of OUT."""

    inputs: Mapping[str, Any]

    def __call__(self, context: StepContext) -> dict[str, Any]:
        return {key: _with_paths(value, context) for key, value in self.inputs.items()}


def _artifacts_in(value: Any) -> Iterator[ArtifactStep[Any]]:
    match value:
        case ArtifactStep():
            yield value
        case list() | tuple():
            for item in value:
                yield from _artifacts_in(item)
        case dict():
            for item in value.values():
                yield from _artifacts_in(item)


def _with_paths(value: Any, context: StepContext) -> Any:
    match value:
        case ArtifactStep():
            return context.artifact_path(value)
        case _Out():
            return context.output_path
        case list():
            return [_with_paths(item, context) for item in value]
        case tuple():
            return tuple(_with_paths(item, context) for item in value)
        case dict():
            return {key: _with_paths(item, context) for key, item in value.items()}
    return value
