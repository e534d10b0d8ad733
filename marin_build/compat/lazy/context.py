"""StepContext: what a step's config may ask for that is no part of the artifact's identity."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar, cast

from marin_build.errors import SpecificationError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from marin_build.compat.artifact import Artifact
    from marin_build.compat.lazy.handle import Handle


T = TypeVar("T", bound="Artifact")


class UndeclaredArgumentError(SpecificationError, KeyError):
    """A config asks for a runtime argument that its step does not declare."""


@dataclass(frozen=True)
class StepContext:
    """What `build_config` is called with.

    What a config asks here says where and how the step runs. For the fingerprint a placeholder
    stands for it, so that it is no identity; of a dependency that is its name and version.

    Args:
        output_path: where this step's output goes.
        prefix: where all outputs lie.
        region: the region of this machine, or of the prefix; None: unknown.
        is_fingerprint: whether the config is only built to be fingerprinted.

    """

    output_path: str
    prefix: str
    region: str | None
    is_fingerprint: bool
    _place_of: Callable[[Handle[Any]], str]
    _runtime_args: Mapping[str, Any]
    _deps: tuple[Handle[Any], ...] = ()
    _loaded: dict[Handle[Any], Artifact] = field(default_factory=dict)

    def artifact_path(self, dep: Handle[Any]) -> str:
        """Return where the data of a dependency lies.

        Raises:
            SpecificationError: the step does not declare it; a ValueError.

        """
        self._refuse_undeclared(dep)
        return self._place_of(dep)

    def resolved(self, dep: Handle[T]) -> T:
        """Return what a dependency made: its values, from its record, which is read once.

        Raises:
            SpecificationError: the step does not declare it, or the config is only built to be
                fingerprinted, when nothing need be built; a ValueError.
            StoreError: the store cannot be read.

        """
        if self.is_fingerprint:
            raise SpecificationError(
                f"`{dep.name}@{dep.version}` has no values at fingerprint time: nothing is built",
                hint="ask `ctx.is_fingerprint` first, and leave in their place what tells them",
            )
        self._refuse_undeclared(dep)
        if dep not in self._loaded:
            self._loaded[dep] = dep.artifact_type.raw_load(self._place_of(dep))
        return cast("T", self._loaded[dep])

    def runtime_arg(self, key: str) -> Any:
        """Return an argument that the step declares in `runtime_args`.

        Raises:
            UndeclaredArgumentError: it does not; a KeyError.

        """
        if key not in self._runtime_args:
            declared = ", ".join(sorted(self._runtime_args)) or "none"
            raise UndeclaredArgumentError(
                f"the step declares no runtime argument `{key}`",
                facts=[("declared", declared)],
                hint=f"add it: runtime_args={{{key!r}: ...}}",
            )
        return self._runtime_args[key]

    @staticmethod
    def for_run(
        output_path: str,
        prefix: str,
        *,
        region: str | None = None,
        runtime_args: Mapping[str, Any] | None = None,
        deps: Iterable[Handle[Any]] = (),
    ) -> StepContext:
        """Return the context of a run."""
        return StepContext(
            output_path,
            prefix,
            region,
            is_fingerprint=False,
            _place_of=lambda dep: dep.path(prefix),
            _runtime_args=runtime_args or {},
            _deps=tuple(deps),
        )

    @staticmethod
    def for_fingerprint(
        runtime_arg_keys: Iterable[str] = (), deps: Iterable[Handle[Any]] = ()
    ) -> StepContext:
        """Return the context in which placeholders stand for all that is no identity."""
        return StepContext(
            "<output_path>",
            "<prefix>",
            "<region>",
            is_fingerprint=True,
            _place_of=lambda dep: f"{dep.name}@{dep.version}",
            _runtime_args={key: f"<{key}>" for key in runtime_arg_keys},
            _deps=tuple(deps),
        )

    def _refuse_undeclared(self, dep: Handle[Any]) -> None:
        if dep not in self._deps:
            raise SpecificationError(
                f"`{dep.name}@{dep.version}` is not a declared dependency of this step",
                consequence="nothing was run",
                hint="add it to `deps`, so that it is built first",
            )
