"""What tells that a file was written: its size, its times and its number, never its content."""

from __future__ import annotations

import os
import stat

DISTRUST_NS = 2_000_000_000
"""What was written so shortly before it was read may be written once more with the same times."""
FileStamp = tuple[int, int, int, int]
"""Size in bytes, times of the last write and of the last change in ns, and the file's number."""


def stamp_now(file: str) -> FileStamp | None:
    """Return what tells that a file was written, as it is now; None if there is no such file."""
    try:
        found = os.stat(file)
    except (OSError, ValueError):
        return None
    return stamp_of(found) if stat.S_ISREG(found.st_mode) else None


def stamp_of(found: os.stat_result) -> FileStamp:
    """Return the stamp of a file whose status was read."""
    return found.st_size, found.st_mtime_ns, found.st_ctime_ns, found.st_ino


def lasts(stamp: FileStamp | None, began: int) -> bool:
    """Return whether any later write changes a stamp.

    Args:
        stamp: of a file that was read; None if it was not there.
        began: when the reading began, in ns since the epoch.

    """
    return stamp is None or began - max(stamp[1], stamp[2]) > DISTRUST_NS
