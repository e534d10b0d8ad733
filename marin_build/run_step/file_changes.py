"""Two lists of files: what is missing, what has another size, what was added. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence

    from marin_build.store.base import File


class Resized(NamedTuple):
    """A file of another size, in bytes."""

    path: str
    expected: int
    found: int


@dataclass(frozen=True, slots=True)
class FileChanges:
    """How files differ from those that were expected; false if they do not."""

    missing: tuple[str, ...] = ()
    resized: tuple[Resized, ...] = ()
    added: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        """Whether anything differs."""
        return bool(self.missing or self.resized or self.added)

    @property
    def words(self) -> list[str]:
        """What differs in words, a file each."""
        words = [f"`{path}` is missing" for path in self.missing]
        words += [f"`{path}` has {found} B, not {size} B" for path, size, found in self.resized]
        return words + [f"`{path}` is new" for path in self.added]


def compare(expected: Sequence[File], found: Sequence[File]) -> FileChanges:
    """Return how files differ from those that were expected."""
    old, new = dict(expected), dict(found)
    return FileChanges(
        tuple(path for path in old if path not in new),
        tuple(
            Resized(path, size, new[path])
            for path, size in old.items()
            if path in new and new[path] != size
        ),
        tuple(path for path in new if path not in old),
    )
