"""What lowering and running ask of an artifact that is declared: ArtifactStep is one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from marin_build.compat.artifact import Artifact


T_co = TypeVar("T_co", bound="Artifact", covariant=True)


class Handle(Protocol[T_co]):
    """A declared artifact; ArtifactStep says what each name means. It is a key by what it is."""

    @property
    def name(self) -> str:
        """The name of the artifact."""

    @property
    def version(self) -> str:
        """Its version."""

    @property
    def artifact_type(self) -> type[T_co]:
        """The class of what it makes."""

    @property
    def run(self) -> Callable[[Any], Artifact | None]:
        """What makes it from a config."""

    @property
    def build_config(self) -> Callable[[Any], Any]:
        """What makes the config from a StepContext."""

    @property
    def deps(self) -> Sequence[Handle[Any]]:
        """What it needs."""

    @property
    def runtime_args(self) -> Mapping[str, Any]:
        """What its config may ask for."""

    @property
    def override_path(self) -> str | None:
        """Where it lies instead."""

    @property
    def adopt_source(self) -> str | None:
        """Where data lies that it stands for."""

    @property
    def adopt_config(self) -> dict[str, Any] | None:
        """What its record says of that."""

    @property
    def expected_fingerprint(self) -> str | None:
        """The only fingerprint it may have."""

    @property
    def identity(self) -> str:
        """Its name and version, `name@version`."""

    @property
    def place(self) -> tuple[str, int]:
        """Where its author declared it."""

    def fingerprint_payload(self) -> str:
        """Return the text that is fingerprinted."""

    def path(self, prefix: str | None = None) -> str:
        """Return where its data lies."""
