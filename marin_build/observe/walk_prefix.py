"""Walks the folders under a prefix down to the outputs, and not into them.

An output may hold a million files, so nothing is listed recursively. A folder is an output if a
status or a record lies in it, or the lease or an attempt of ours. Another folder is listed, unless
no step can be called like it: a name of a step may have several segments.
"""

from __future__ import annotations

import os
from dataclasses import field
from typing import TYPE_CHECKING

from marin_build.identity.payload import HASHED_NAME
from marin_build.pipeline.names import name_problem
from marin_build.protocol import layout
from marin_build.quick_dataclass import dataclass
from marin_build.store.refusals import each_folder, read_each

if TYPE_CHECKING:
    from collections.abc import Sequence

    from marin_build.store.base import Blob, Store

_OUR_FOLDER = ".marin-build"
_MOST_FOLDERS = 5000
"""How many folders that are no outputs are looked into: other people's trees may be endless."""


@dataclass(frozen=True, slots=True)
class Beside:
    """The bytes of the two files beside an output that say what it is; None: not there."""

    status: Blob | None = None
    record: Blob | None = None


@dataclass(slots=True)
class Walked:
    """What a walk found.

    Args:
        outputs: output path -> what lies beside it.
        own: the folders in which runs, bundles and caches lie: those of prefixes inside, too.
        others: a folder that is no output -> why none lies in it, in words; empty: none was found.
        left_out: how many folders were not looked into, because there are too many.

    """

    outputs: dict[str, Beside] = field(default_factory=dict)
    own: list[str] = field(default_factory=list)
    others: dict[str, str] = field(default_factory=dict)
    left_out: int = 0

    def foreign(self, prefix: str) -> dict[str, str]:
        """Return the highest folders in and below which no output was found, and why."""
        above = {prefix}
        for path in self.outputs:
            while (path := path.rpartition("/")[0]) not in above and len(path) > len(prefix):
                above.add(path)
        return {
            path: why
            for path, why in self.others.items()
            if path not in above and path.rpartition("/")[0] in above
        }


def walk_prefix(store: Store, prefix: str, known: Sequence[str] = ()) -> Walked:
    """Find the outputs under a prefix.

    Args:
        store: holds the prefix.
        prefix: an absolute folder or a URL.
        known: folders that are looked at in any case.

    Raises:
        StoreError: the prefix cannot be listed, or its bucket cannot be read. A folder of a disk
            that cannot be read is noted, and everything else is read.

    """
    walked = Walked()
    looked_into = 0
    _look_at(store, known, walked)
    for path in known:
        walked.others.pop(path, None)  # whatever the walk finds there
    candidates = store.folders(f"{prefix}/")
    while candidates:
        level = _look_at(store, candidates, walked)
        if more := max(0, looked_into + len(level) - _MOST_FOLDERS):
            walked.left_out += more
            for path in level[-more:]:
                walked.others[path] = "not looked into: there are too many folders"
            level = level[:-more]
        looked_into += len(level)
        listings = each_folder(store, lambda folder: store.folders(f"{folder}/"), level)
        for folder, inside in listings.items():
            if inside is None:
                walked.others[folder] = "it cannot be listed"
        candidates = [path for inside in listings.values() for path in inside or ()]
    return walked


def _look_at(store: Store, paths: Sequence[str], walked: Walked) -> list[str]:
    """Take note of the outputs among some folders; return those in which others may lie."""
    legal = []
    for path in paths:
        if path in walked.outputs:
            continue
        if path.endswith(f"/{_OUR_FOLDER}"):
            walked.own.append(path)
            continue
        if (why := _why_not_ours(store, path)) is None:
            legal.append(path)
        else:
            walked.others[path] = why
    wanted = [f"{path}/{file}" for path in legal for file in (layout.STATUS, layout.RECORD)]
    blobs, denied = read_each(store, wanted)
    each = iter(blobs)
    others = []
    for path, status, record in zip(legal, each, each, strict=True):
        if status is not None or record is not None:
            walked.outputs[path] = Beside(status, record)
        elif f"{path}/{layout.STATUS}" in denied:
            walked.others[path] = "it cannot be read"
        else:
            others.append(path)
    begun = _begun(store, others)
    walked.outputs |= {path: Beside() for path in begun}
    others = [path for path in others if path not in walked.outputs]
    walked.others |= dict.fromkeys(others, "")
    return others


def _why_not_ours(store: Store, path: str) -> str | None:
    """Return why no output of ours lies in a folder or below it; None if one may."""
    if name_problem(path.rpartition("/")[2]) is not None:
        return "no step can be called so"
    return "a symbolic link" if is_link(store, path) else None


def is_link(store: Store, path: str) -> bool:
    """Return whether a folder is a symbolic link, which leads out of the prefix, or in a circle."""
    return store.is_local and os.path.islink(path)


def _begun(store: Store, folders: Sequence[str]) -> list[str]:
    """Return the outputs that have lost their status, or whose holder has only just begun."""
    hashed = [path for path in folders if HASHED_NAME.fullmatch(path) is not None]
    leases, _ = read_each(store, [f"{path}/{layout.LEASE}" for path in hashed])
    logs = each_folder(store, lambda path: store.list(f"{path}/{layout.LOGS}"), hashed)
    return [
        path
        for path, lease in zip(hashed, leases, strict=True)
        if lease is not None or any(map(layout.attempt_number, logs[path] or ()))
    ]
