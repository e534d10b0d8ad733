"""ArtifactStep: what makes a named and versioned artifact, declared and not yet run."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Generic, TypeVar, overload

from marin_build.compat.fingerprint import canonical_json, fingerprint_hash
from marin_build.compat.lazy.context import StepContext
from marin_build.compat.lazy.lowering import lower
from marin_build.compat.lazy.running import resolve
from marin_build.compat.versions import validate_path_segment, validate_version
from marin_build.errors import SpecificationError
from marin_build.identity.callables import CountsByName
from marin_build.pipeline.declared_at import declaring_place
from marin_build.pipeline.stands_for import StandsForStep
from marin_build.workspace.places import is_relative
from marin_build.workspace.workspace import absolute_prefix, current_workspace

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from marin_build.compat.artifact import Artifact
    from marin_build.pipeline.step_spec import StepSpec


T_co = TypeVar("T_co", bound="Artifact", covariant=True)
T = TypeVar("T", bound="Artifact")


# Two handles are equal only if they are one object: so they can be keys, whatever they hold.
@dataclass(frozen=True, eq=False)
class ArtifactStep(StandsForStep, CountsByName, Generic[T_co]):
    """An artifact, and the step that makes it: `run(build_config(ctx))`.

    What `build_config` writes itself is the artifact's identity: its fingerprint. What it asks of
    its StepContext is none. The fingerprint is only recorded; the path has name and version.

    Args:
        name: segments joined by `/`.
        version: a day, `2026.06.28` or `2026.06.28.1`; or `dev`, `*-dev`: built anew each time.
        artifact_type: the class of what `run` makes.
        run: makes it from the config. It returns an Artifact, or None if it only writes files.
        build_config: returns the config; it is called to fingerprint it, and again to run.
        deps: the artifacts that the config may ask for.
        runtime_args: values for the config that are no identity.
        override_path: where the output lies instead; a relative path lies under the prefix. What
            lies there keeps its record.
        adopt_source: where data lies that this artifact stands for; nothing is run. See `adopt`.
        adopt_config: what the record says of that data.
        expected_fingerprint: refuse every other fingerprint, now and in the record.

    Raises:
        SpecificationError: an illegal name or version, or both kinds of paths; a ValueError.

    """

    name: str
    version: str
    artifact_type: type[T_co]
    run: Callable[[Any], Artifact | None]
    build_config: Callable[[StepContext], Any]
    deps: tuple[ArtifactStep[Any], ...] = ()
    runtime_args: Mapping[str, Any] = field(default_factory=dict)
    override_path: str | None = None
    adopt_source: str | None = None
    adopt_config: dict[str, Any] | None = None
    expected_fingerprint: str | None = None

    def __post_init__(self) -> None:
        validate_path_segment("name", self.name)
        validate_version(self.version)
        if self.adopt_source is not None and self.override_path is not None:
            raise SpecificationError(
                f"`{self.identity}` has both an `adopt_source` and an `override_path`",
                hint="adopted data stays where it is: leave out `override_path`",
            )
        self.__dict__["declared"] = declaring_place()

    def __getstate__(self) -> dict[str, Any]:
        """Return its fields, without the step that it was lowered to: that holds it again."""
        return {key: value for key, value in self.__dict__.items() if key != "_step"}

    @property
    def identity(self) -> str:
        """Its name and version, `name@version`."""
        return f"{self.name}@{self.version}"

    @property
    def code_name(self) -> str:
        """What stands for it in the digest of code that holds it."""
        return f"artifact {self.identity}"

    @property
    def exact_name(self) -> str:
        """The same, with the recipe."""
        return f"artifact {artifact_identity(self)}"

    @property
    def place(self) -> tuple[str, int]:
        """The file and the line where it was declared."""
        place: tuple[str, int] = self.__dict__["declared"]
        return place

    def fingerprint_payload(self) -> str:
        """Return the text that is fingerprinted: the canonical JSON of the config."""
        if self.adopt_source is not None:
            adopted = {"adopt_source": self.adopt_source, "config": self.adopt_config}
            return json.dumps(adopted, sort_keys=True)
        context = StepContext.for_fingerprint(self.runtime_args.keys(), self.deps)
        return canonical_json(self.build_config(context))

    def fingerprint(self) -> str:
        """Return what tells whether the recipe changed: 8 hex digits, the same in every place."""
        return fingerprint_hash(self.fingerprint_payload())

    def path(self, prefix: str | None = None) -> str:
        """Return where its data lies.

        Args:
            prefix: where outputs lie; None: the prefix in force.

        """
        workspace = current_workspace(self.place[0])
        base = absolute_prefix(prefix, os.getcwd()) if prefix else workspace.prefix
        chosen = self.override_path if self.adopt_source is None else self.adopt_source
        if chosen is None:
            return f"{base}/{self.name}/{self.version}"
        if is_relative(chosen):
            return f"{base}/{chosen}"
        return chosen

    def lower(self) -> StepSpec:
        """Return its step; see `lower`."""
        return lower(self)

    @property
    def lowered_step(self) -> StepSpec:
        """Its step, for a pipeline that offers this artifact in its place."""
        return self.lower()

    def resolve(self, *, max_concurrent: int = 8) -> T_co:
        """Build it and return what it made; see `resolve`."""
        return resolve(self, max_concurrent=max_concurrent)

    @overload
    @classmethod
    def adopt(
        cls, name: str, version: str, source: str, *, config: dict[str, Any] | None = None
    ) -> ArtifactStep[Artifact]: ...
    @overload
    @classmethod
    def adopt(
        cls,
        name: str,
        version: str,
        source: str,
        *,
        kind: type[T],
        config: dict[str, Any] | None = None,
    ) -> ArtifactStep[T]: ...
    @classmethod
    def adopt(
        cls,
        name: str,
        version: str,
        source: str,
        *,
        kind: type[Artifact] | None = None,
        config: dict[str, Any] | None = None,
    ) -> ArtifactStep[Any]:
        """Return an artifact that stands for data which is there already.

        Nothing is copied or computed: who needs it reads at `source`. Running it writes a record.

        Args:
            name, version: of the artifact.
            source: where the data lies; a relative path lies under the prefix.
            kind: its class; default: Artifact.
            config: what the record says of it.

        """
        return cls(
            name,
            version,
            artifact_class(kind),  # type: ignore[arg-type]
            _is_never_run,
            lambda _: None,
            adopt_source=source,
            adopt_config=config,
        )


adopt = ArtifactStep.adopt
"""The same, as earlier versions of Marin call it."""


def artifact_class(kind: type[Artifact] | None) -> type[Artifact]:
    """Return the class of an artifact whose author names none; pydantic is loaded for it."""
    if kind is not None:
        return kind
    from marin_build.compat.artifact import Artifact

    return Artifact


def artifact_identity(step: ArtifactStep[Any]) -> str:
    """Return what stands for an artifact and its recipe: `name@version:fingerprint`."""
    return f"{step.identity}:{step.fingerprint()}"


def materialized_config(handle: ArtifactStep[Any], prefix: str) -> Any:
    """Return the config that a run under a prefix would get; nothing is run.

    The region is None, so this may differ from the config of a real run.
    """
    return handle.build_config(
        StepContext.for_run(
            handle.path(prefix), prefix, runtime_args=handle.runtime_args, deps=handle.deps
        )
    )


def _is_never_run(_config: Any) -> None:
    raise AssertionError("adopted data is registered, not computed")
