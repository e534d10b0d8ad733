"""The folders in which imports looked for modules, and what they found there.

A file that comes later may take the place of a module that was found elsewhere, or be the module
that was missing. So a folder counts as unchanged while what imports could take for one of the names
that were looked for is the same.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from marin_build.quick_dataclass import dataclass
from marin_build.workspace.file_stamps import stamp_now

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from marin_build.workspace.file_stamps import FileStamp

FolderStamp = tuple[int, int, int] | None
"""Times of the last write and of the last change in ns, and the number; None: trust the names."""
TAKEN_NAMES = "*"
"""Among the names that are looked for: all that are Python's, or those of packages we need."""
PACKAGE = "__init__"
_ENDINGS = (".py", ".pyc", ".so", ".pyd")


@dataclass(frozen=True, slots=True)
class SearchedFolder:
    """A folder in which modules were looked for.

    Args:
        names: what was looked for, sorted; none if the stamp alone counts.
        found: the entries that imports may take for one of these names, sorted.
        stamp: of the folder; while it stays, nothing came to it or left it.

    """

    names: tuple[str, ...]
    found: tuple[str, ...]
    stamp: FolderStamp

    def first_change(self, folder: str) -> str | None:
        """Return the entry that came or is gone (empty if that is not known), or None."""
        if self.stamp is not None and folder_stamp(folder) == self.stamp:
            return None
        if not self.names:
            return ""
        found = modules_in(folder, self.names)
        if found == self.found:
            return None
        return min(set(found) ^ set(self.found))

    def joined(self, other: SearchedFolder) -> SearchedFolder | None:
        """Return what was looked for in either of two loads; None if they found something else."""
        if not (self.names and other.names):
            by_stamp = self if not self.names else other
            return by_stamp if self.stamp == other.stamp else None
        if TAKEN_NAMES not in (*self.names, *other.names):
            shared = {*self.names} & {*other.names}
            if _of_names(self.found, shared) != _of_names(other.found, shared):
                return None
        elif {*self.found} ^ {*other.found}:
            return None
        names = tuple(sorted({*self.names, *other.names}))
        return SearchedFolder(names, tuple(sorted({*self.found, *other.found})), other.stamp)


def _of_names(found: Iterable[str], names: Collection[str]) -> list[str]:
    return [each for each in found if each.partition(".")[0] in names]


def folder_stamp(folder: str) -> FolderStamp:
    """Return what tells whether something came to a folder or left it."""
    try:
        found = os.stat(folder)
    except (OSError, ValueError):
        return None
    return found.st_mtime_ns, found.st_ctime_ns, found.st_ino


def modules_in(folder: str, names: Iterable[str]) -> tuple[str, ...]:
    """Return the entries of a folder that imports may take for one of some names."""
    try:
        entries = os.listdir(folder)
    except (OSError, ValueError):
        return ()
    wanted: Collection[str] = frozenset(names)
    if TAKEN_NAMES in wanted:
        wanted = _with_taken_names(wanted)
    found = [each for each in entries if each.partition(".")[0] in wanted]
    return tuple(sorted(each for each in found if "." not in each or each.endswith(_ENDINGS)))


def searched(folder: str, names: Iterable[str], trusted_before: int) -> SearchedFolder:
    """Return what is found in a folder now.

    Args:
        folder: where it was looked.
        names: what was looked for.
        trusted_before: a folder that was changed later has no stamp; in ns since the epoch.

    """
    stamp = folder_stamp(folder)
    if stamp is not None and max(stamp[:2]) >= trusted_before:
        stamp = None
    ordered = tuple(sorted(names))
    return SearchedFolder(ordered, modules_in(folder, ordered), stamp)


@dataclass(frozen=True, slots=True)
class InstalledFiles:
    """Files that were read in one folder of an installed package.

    Args:
        names: of the files.
        stamps: a number made of their stamps; by one Python, equal ones have equal numbers.

    """

    names: tuple[str, ...]
    stamps: int

    def are_unchanged(self, folder: str) -> bool:
        """Return whether each file has the stamp that it had."""
        return number_of_stamps([stamp_now(f"{folder}/{name}") for name in self.names]) == (
            self.stamps
        )

    def joined(self, other: InstalledFiles, folder: str) -> InstalledFiles | None:
        """Return the files that were read in either of two loads; None if one has changed."""
        if self == other:
            return self
        if not (self.are_unchanged(folder) and other.are_unchanged(folder)):
            return None
        names = tuple(sorted({*self.names, *other.names}))
        stamps = [stamp_now(f"{folder}/{name}") for name in names]
        return InstalledFiles(names, number_of_stamps(stamps))


def number_of_stamps(stamps: Iterable[FileStamp | None]) -> int:
    """Return a number that is the same for the same stamps."""
    return hash(tuple([stamp or () for stamp in stamps]))  # that of None is not


def _with_taken_names(names: Iterable[str]) -> Collection[str]:
    import sys

    from marin_build.pipeline.shadowed_names import OUR_NAMES

    return {*names, *OUR_NAMES, *sys.stdlib_module_names}
