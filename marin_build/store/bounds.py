"""How much of a file is read into memory at most, by its name.

A user who may write to a prefix may leave a file of a terabyte in the place of a document there,
and a reader of all targets must survive that. What a step wrote has no bound: a person asks for it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from marin_build.store.base import Blob

if TYPE_CHECKING:
    from collections.abc import Mapping


_KIB, _MIB = 1 << 10, 1 << 20
LONGEST = 256 * _MIB
"""Bytes of the longest document: the manifest of a million files, and the longest logs, fit."""
_BY_NAME: Mapping[str, int] = {
    ".executor_status": _MIB,  # one word; Marin once wrote a line of JSON a change
    ".executor_status.lock": 64 * _KIB,
    ".executor_info": LONGEST,  # holds all attributes of a step
    ".artifact.json": LONGEST,
    ".artifact": LONGEST,
    ".accepted.json": 16 * _MIB,
    ".changed": _MIB,
}
_FOLDERS = ("/.logs/", "/.marin-build/")
_VALUES = "/.marin-build/cache/"


def most_bytes(path: str) -> int | None:
    """Return how many bytes of a file may be read; None if it has no bound."""
    known = _BY_NAME.get(path.rpartition("/")[2])
    if known is not None:
        return known
    if any(folder in path for folder in _FOLDERS) and _VALUES not in path:
        return LONGEST
    return None


def no_document(why: str, version: str) -> Blob:
    """Return what stands for a file that is not read; every reader of documents refuses it.

    Args:
        why: what it is instead, as `a named pipe, not a file`.
        version: tells it from what may be there later.

    """
    return Blob(f"<{why}>".encode(), version)


def too_long(size: int, most: int, version: str) -> Blob:
    """Return what stands for a file of more bytes than are read."""
    return no_document(f"{size} bytes or more, {most} are the most", version)
