"""Tombstones are put in the place of a status, and taken away again: no build follows.

Both are on disk before they replace what lies there: what was built long ago survives a power cut.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from marin_build.protocol import layout
from marin_build.protocol.tombstone import readable_tombstone
from marin_build.store.local import lasting

if TYPE_CHECKING:
    from collections.abc import Sequence

    from marin_build.protocol.tombstone import Tombstone
    from marin_build.store.base import Blob, Store


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
