"""The highest number among the attempts at a target."""

from __future__ import annotations

from typing import TYPE_CHECKING

from marin_build.protocol import layout
from marin_build.protocol.builder_note import note_of
from marin_build.protocol.record_reader import readable_record

if TYPE_CHECKING:
    from marin_build.store.base import Store


def newest_attempt(store: Store, output: str) -> int:
    """Return the highest number among the attempts that ended, or left a log; 0 if there are none.

    Raises:
        StoreError: the store cannot be read.

    """
    newest = newest_in_logs(store, output)
    if newest:
        return newest
    blob = store.get(f"{output}/{layout.RECORD}")
    return attempt_of(blob.data) if blob is not None else 0


def newest_in_logs(store: Store, output: str) -> int:
    """Return the same by what lies in `.logs`: one that was over in a second may not be there."""
    names = store.list(f"{output}/{layout.LOGS}")
    return max((layout.number_of(name) or 0 for name in names), default=0)


def attempt_of(record: bytes) -> int:
    """Return the attempt that left a record, or the note in its place; 0 if that is not known."""
    said = note_of(record) or readable_record(record)
    return said.attempt if said is not None else 0
