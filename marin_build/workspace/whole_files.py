"""Files for people and other programs that are whole at any time: written beside, and renamed."""

from __future__ import annotations

import os
import stat
import tempfile
from contextlib import suppress


def write_whole(path: str, text: str) -> None:
    """Write a text file, or leave what was there as it was.

    A link is followed; rights that a file had stay. What is no regular file, as `/dev/stdout`, a
    pipe or a terminal, is written to as it is.

    Args:
        path: where to; its folder must be there.
        text: in UTF-8; surrogates that stand for bytes are written as these.

    Raises:
        OSError: it cannot be written.

    """
    mode = _mode_of(path)
    if mode is not None and not stat.S_ISREG(mode):
        with open(path, "w", encoding="utf-8", errors="surrogateescape", newline="") as stream:
            stream.write(text)
        return
    place = os.path.realpath(path)
    if mode is not None and not os.access(place, os.W_OK):
        raise PermissionError(13, "Permission denied", path)
    folder, name = os.path.split(place)
    descriptor, temporary = tempfile.mkstemp(prefix=f".{name[:100]}.", suffix=".tmp", dir=folder)
    try:
        with open(
            descriptor, "w", encoding="utf-8", errors="surrogateescape", newline=""
        ) as stream:
            stream.write(text)
            os.fchmod(stream.fileno(), _usual_mode() if mode is None else stat.S_IMODE(mode))
        os.rename(temporary, place)
    except BaseException:
        with suppress(OSError):
            os.unlink(temporary)
        raise


def _mode_of(path: str) -> int | None:
    try:
        return os.stat(path).st_mode
    except FileNotFoundError:
        return None


def _usual_mode() -> int:
    """Return the rights that a new file gets."""
    mask = os.umask(0)
    os.umask(mask)
    return 0o666 & ~mask
