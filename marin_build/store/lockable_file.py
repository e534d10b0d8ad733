"""Files that are there to be locked, by every user who can write around them."""

from __future__ import annotations

import os
import stat
from contextlib import suppress

_OPEN = os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
_WRITE = stat.S_IWGRP | stat.S_IWOTH


def open_to_lock(path: str, *, folder: int | None = None, create: bool) -> int:
    """Return a descriptor of a file that is locked and never written.

    One that is made can be written by who can write in its folder: several users may share that,
    whatever the umask of the first one says.

    Args:
        path: the file; inside `folder`, if that is given.
        folder: descriptor of the folder that it lies in.
        create: whether to make it if it is not there.

    Raises:
        FileNotFoundError: it is not there, and was not to be made.
        OSError: it cannot be opened for writing.

    """
    try:
        return os.open(path, _OPEN, dir_fd=folder)
    except FileNotFoundError:
        if not create:
            raise
    descriptor = os.open(path, _OPEN | os.O_CREAT, 0o644, dir_fd=folder)
    with suppress(OSError):  # another user made it just now
        around = os.fstat(folder) if folder is not None else os.stat(os.path.dirname(path))
        rights = stat.S_IMODE(os.fstat(descriptor).st_mode)
        os.fchmod(descriptor, rights | (around.st_mode & _WRITE))
    return descriptor
