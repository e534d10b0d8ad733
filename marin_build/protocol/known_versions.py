"""Versions of installed distributions that an earlier process looked up: they spare the look-up.

Python's own module for that takes longer to import than all else that a run with nothing to do
compares. A version counts only while each folder in which distributions are looked for, and the
file that holds the version, have the times and inode they had. It may only confirm a recorded one.
"""

from __future__ import annotations

import os
import sys
import time
from contextlib import suppress
from dataclasses import field
from typing import TYPE_CHECKING

from marin_build.quick_dataclass import dataclass
from marin_build.untrusted_json import array, path, table, text, whole
from marin_build.workspace.file_stamps import DISTRUST_NS
from marin_build.workspace.kept_facts import keep_facts, read_facts

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

_SUBJECT = "distributions"
_Stamp = tuple[int, int, int] | None
"""Times of the last write and of the last change in ns, and the number; None if nothing is there.
"""


@dataclass(slots=True)
class KnownVersions:
    """Versions by the name of their distribution, and what tells that they are still the same."""

    versions: dict[str, str] = field(default_factory=dict)
    stamps: dict[str, _Stamp] = field(default_factory=dict)


def read_known_versions(project: str) -> Mapping[str, str]:
    """Return distribution -> version, empty if it is not installed; nothing if any may differ."""
    try:
        known = _read(project)
    except (OSError, ValueError, TypeError):
        return {}
    return known.versions if _still_hold(known) else {}


def keep_versions(project: str, names: Iterable[str]) -> None:
    """Look up distributions, and keep their versions beside those that are known."""
    import importlib.metadata

    if _others_find():
        return
    began = time.time_ns()
    known = KnownVersions(stamps={folder: _stamp(folder) for folder in _folders()})
    for name in {*names, *read_known_versions(project)}:
        try:
            found = importlib.metadata.distribution(name)
            file = _file_of(found)
            known.stamps[file] = _stamp(file)
            known.versions[name] = found.version
        except importlib.metadata.PackageNotFoundError:
            known.versions[name] = ""
        except (ValueError, OSError):
            return
    newest = max((max(stamp[:2]) for stamp in known.stamps.values() if stamp), default=0)
    if began - newest > DISTRUST_NS:
        with suppress(OSError):  # else they are looked up each time
            facts = {"versions": known.versions, "stamps": known.stamps}
            keep_facts(project, _SUBJECT, facts)


def _read(project: str) -> KnownVersions:
    found = read_facts(project, _SUBJECT)
    stamps = table(found.get("stamps"))
    return KnownVersions(
        {name: text(version) for name, version in table(found.get("versions")).items()},
        {path(file): _stamp_of(stamp) for file, stamp in stamps.items()},
    )


def _still_hold(known: KnownVersions) -> bool:
    same = all(_stamp(file) == stamp for file, stamp in known.stamps.items())
    return same and known.stamps.keys() >= set(_folders()) and not _others_find()


def _folders() -> list[str]:
    return [os.path.abspath(folder) for folder in sys.path]


def _others_find() -> bool:
    """Return whether anything but Python itself may find distributions."""
    from importlib.machinery import PathFinder

    finders = (finder for finder in sys.meta_path if finder is not PathFinder)
    return any(hasattr(finder, "find_distributions") for finder in finders)


def _file_of(found: object) -> str:
    """Return the file that holds the version of a distribution; raise OSError if none does."""
    folder = os.fspath(getattr(found, "_path", ""))
    for name in ("METADATA", "PKG-INFO"):
        if os.path.isfile(file := os.path.join(folder, name)):
            return file
    if os.path.isfile(folder):  # a file with the ending `.egg-info`
        return folder
    raise FileNotFoundError(folder)


def _stamp(file: str) -> _Stamp:
    try:
        found = os.stat(file)
    except OSError:
        return None
    return found.st_mtime_ns, found.st_ctime_ns, found.st_ino


def _stamp_of(value: object) -> _Stamp:
    if value is None:
        return None
    written, changed, number = map(whole, array(value))
    return written, changed, number
