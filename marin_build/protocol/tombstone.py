"""A tombstone: the status of an output that `gc` found no use for, until it is deleted.

It lies in the place of the status file, so that each reader of a status sees it, and no request is
added. The output is whole and still counts as built. But who uses it takes the tombstone away
first, on the condition that it is still there. `gc` deletes on the same condition, so one of the
two wins, and the other one sees that (ADR 35).
"""

from __future__ import annotations

import json
from typing import NamedTuple

from marin_build.untrusted_json import parse_json, table, text

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
