"""Versions that an experiment leaves open: the run decides them while it declares its artifacts."""

from __future__ import annotations

from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from marin_build.compat.versions import validate_version
from marin_build.errors import SpecificationError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping


@dataclass(frozen=True)
class VersionCodex:
    """Which version each artifact gets: one for all, and exceptions by exact name.

    Args:
        default: the version of all others.
        overrides: name, as the builder was given it -> version.

    Raises:
        SpecificationError: one of them is no version; a ValueError.

    """

    default: str
    overrides: Mapping[str, str] = field(default_factory=dict)
    _asked_for: set[str] = field(default_factory=set, init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        validate_version(self.default)
        for name, version in self.overrides.items():
            try:
                validate_version(version)
            except ValueError as error:
                raise SpecificationError(f"override '{name}': {error}") from None

    def version_for(self, name: str) -> str:
        """Return the version of an artifact."""
        if name not in self.overrides:
            return self.default
        self._asked_for.add(name)
        return self.overrides[name]

    def unused_overrides(self) -> frozenset[str]:
        """Return the exceptions that no builder has asked for: misspelt, or without effect."""
        return frozenset(self.overrides) - self._asked_for


@dataclass(frozen=True)
class BuildContext:
    """What holds while an experiment declares its artifacts."""

    versions: VersionCodex


_current: ContextVar[BuildContext | None] = ContextVar("marin_build_context", default=None)


@contextmanager
def build_context(ctx: BuildContext) -> Iterator[BuildContext]:
    """Have artifacts that are declared in the block get their versions from `ctx`."""
    token = _current.set(ctx)
    try:
        yield ctx
    finally:
        _current.reset(token)


def current_build_context() -> BuildContext | None:
    """Return what holds now; None outside of all blocks."""
    return _current.get()


def resolve_version(name: str, version: str | None) -> str:
    """Return the version of an artifact: the one that its author gave, else that of the run.

    Raises:
        SpecificationError: neither says one; a ValueError.

    """
    if version is not None:
        return version
    context = current_build_context()
    if context is None:
        raise SpecificationError(
            f"`{name}` has no version, and there is no active BuildContext that gives it one",
            consequence="nothing was run",
            hint="pass version=..., or declare it inside "
            "`build_context(BuildContext(versions=VersionCodex(default=...)))`",
        )
    return context.versions.version_for(name)
