"""A tombstone: the status of an output that `gc` found no use for, until it is deleted.

It lies in the place of the status file, so that each reader of a status sees it, and no request is
added. The output is whole and still counts as built. But who uses it takes the tombstone away
first, on the condition that it is still there. `gc` deletes on the same condition, so one of the
two wins, and the other one sees that (ADR 35).

Both are on disk before they replace a status: what was built long ago survives a power cut.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, NamedTuple

from marin_build.protocol import layout
from marin_build.untrusted_json import parse_json, table, text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from marin_build.store.base import Blob, Store


_START = b"TOMBSTONE "


class Tombstone(NamedTuple):
    """What a tombstone says.

    Args:
        was: the status before; only an output that was SUCCESS counts as built.
        by, at: who put it there, and when: ISO 8601 in UTC.
        gc: the id of that `gc`, so that no two tombstones have the same bytes.

    """

    was: str
    by: str
    at: str
    gc: str

    def encode(self) -> bytes:
        """Return the bytes of the status file."""
        said = {"was": self.was, "by": self.by, "at": self.at, "gc": self.gc}
        return _START + json.dumps(said).encode()


def parse_tombstone(data: bytes) -> Tombstone | None:
    """Return the tombstone in the bytes of a status file; None if they are another status.

    Raises:
        ValueError, KeyError: it begins like a tombstone, and is damaged.

    """
    if not data.startswith(_START):
        return None
    said = table(parse_json(data[len(_START) :]))
    return Tombstone(text(said["was"]), text(said["by"]), text(said["at"]), text(said["gc"]))


def readable_tombstone(data: bytes) -> Tombstone | None:
    """Return the same as `parse_tombstone`; None also where it is damaged."""
    try:
        return parse_tombstone(data)
    except (ValueError, KeyError):
        return None


def put_tombstone(store: Store, output: str, version: str, tombstone: Tombstone) -> str | None:
    """Put a tombstone in the place of the status that was seen.

    Args:
        store: where the output lives.
        output: the output path.
        version: that of the status.
        tombstone: what to put there.

    Returns:
        The new version; None if the status was written since it was seen.

    """
    from marin_build.store.local import lasting

    path, data = f"{output}/{layout.STATUS}", tombstone.encode()
    written = lasting(store).replace_if(path, data, version)
    if written is None and (blob := store.get(path)) is not None and blob.data == data:
        return blob.version  # our own write, whose reply was lost
    return written


def take_away(store: Store, output: str, version: str, tombstone: Tombstone) -> str | None:
    """Put the status back that a tombstone replaced: the output is used, or is to be kept.

    Args:
        store: where the output lives.
        output: the output path.
        version: that of the tombstone.
        tombstone: what it says.

    Returns:
        The new version of the status; None if the tombstone is not there any more: look again.

    """
    from marin_build.store.local import lasting  # a plan against a bucket does without it

    path = f"{output}/{layout.STATUS}"
    return lasting(store).replace_if(path, tombstone.was.encode(), version)


def take_all_away(store: Store, outputs: Sequence[str]) -> list[Blob | None]:
    """Take the tombstones of outputs away, whatever else they are: they are used.

    Args:
        store: where they live.
        outputs: the output paths.

    Returns:
        What lies in the place of each status then; no tombstone.

    """
    paths = [f"{output}/{layout.STATUS}" for output in outputs]
    found = store.get_many(paths)
    for place, (output, path) in enumerate(zip(outputs, paths, strict=True)):
        blob = found[place]
        while blob is not None and (tombstone := readable_tombstone(blob.data)) is not None:
            take_away(store, output, blob.version, tombstone)
            blob = store.get(path)
        found[place] = blob
    return found
