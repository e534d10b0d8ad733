"""Files that a person names, read only if they are files: a device never ends, a pipe waits."""

from __future__ import annotations

import errno
import os
import stat
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from io import BufferedReader


LONGEST_TEXT = 64 << 20
"""Bytes of the longest file that a person writes: code, a configuration, a lock file."""
LONGEST_PLAN = 4 << 30
"""Bytes of the longest plan: a million targets fit."""
_KINDS = {
    stat.S_IFLNK: "a symbolic link",
    stat.S_IFDIR: "a folder",
    stat.S_IFIFO: "a named pipe",
    stat.S_IFSOCK: "a socket",
}


def open_regular(path: str) -> BufferedReader:
    """Open a file for reading; links are followed.

    Raises:
        OSError: it cannot be read, or something else than a file lies there.

    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError as error:
        if error.errno == errno.ENXIO:
            raise no_file(path, os.stat(path)) from None
        raise
    status = os.fstat(descriptor)
    if not stat.S_ISREG(status.st_mode):
        os.close(descriptor)
        raise no_file(path, status)
    return open(descriptor, "rb")


def read_regular(path: str, most: int = LONGEST_TEXT) -> bytes:
    """Return what is in a file; links are followed.

    Raises:
        OSError: it cannot be read, has more than `most` bytes, or something else lies there.

    """
    with open_regular(path) as stream:
        is_longer = os.fstat(stream.fileno()).st_size > most
        data = b"" if is_longer else stream.read(most + 1)
    if is_longer or len(data) > most:
        raise OSError(errno.EFBIG, f"it has more than {most} bytes", path)
    return data


def no_file(path: str, status: os.stat_result) -> OSError:
    """Return the error for something else than a file."""
    return OSError(errno.EINVAL, f"it is {kind_of(status)}", path)


def kind_of(status: os.stat_result) -> str:
    """Return in words what lies somewhere instead of a file: `a folder, not a file`."""
    return f"{_KINDS.get(stat.S_IFMT(status.st_mode), 'a device')}, not a file"
