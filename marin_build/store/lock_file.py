"""The file whose bytes are locked for the outputs below a prefix, and the kernel's locks on it.

It stays empty. A lock is one of an open file description (`F_OFD_SETLK`): no other description gets
it, be it of another process or of this one, and it holds until it is given back, or until the last
process that has the description open is gone. What a process forks has it open, too, unless it
closes it. Source: man 2 fcntl.
"""

from __future__ import annotations

import fcntl
import os
import stat
import struct
import sys

from marin_build.store.lockable_file import open_to_lock
from marin_build.workspace.own_folder import NAME as OWN_FOLDER
from marin_build.workspace.own_folder import make_folder

FILE = "leases"
MARK = "documents-only"
_FLOCK = struct.Struct("hhqqi4x")
"""`struct flock` of 64-bit Linux: type, whence, start, length, pid. Source: man 2 fcntl."""
OFFSETS = 1 << 62
"""Outputs have offsets below this; those above it serve to try the locks out."""
_SET = getattr(fcntl, "F_OFD_SETLK", None)
_GET = getattr(fcntl, "F_OFD_GETLK", None)


class LockFile:
    """One open file description of a file whose bytes are locked.

    Args:
        folder: the folder that outputs lie in: the file is in its `.marin-build`.

    Raises:
        FileNotFoundError: there is no such file, and it was not to be made.
        OSError: it cannot be opened for writing.

    """

    __slots__ = ("_descriptor", "_path", "_place", "folder", "identity")

    def __init__(self, folder: str, *, create: bool) -> None:
        self.folder = folder
        self._path = leases_path(folder)
        self._descriptor = _opened(self._path, create=create)
        found = os.fstat(self._descriptor)
        self._place = found.st_dev, found.st_ino
        self.identity = f"{found.st_ino:x}"
        """Names the file among all that can be open at the same time."""

    def lock(self, offset: int) -> bool:
        """Lock a byte; return False if another description has it. One of ours is locked again."""
        try:
            _call(self._descriptor, _SET, fcntl.F_WRLCK, offset)
        except (BlockingIOError, PermissionError):
            return False
        return True

    def unlock(self, offset: int) -> None:
        """Let go of a byte, for all processes that share this description."""
        _call(self._descriptor, _SET, fcntl.F_UNLCK, offset)

    def is_free(self, offset: int) -> bool:
        """Return whether no other description has a byte locked."""
        kind: int = _FLOCK.unpack(_call(self._descriptor, _GET, fcntl.F_WRLCK, offset))[0]
        return kind == fcntl.F_UNLCK

    def is_in_place(self) -> bool:
        """Return whether the file still lies at its path: others lock what lies there."""
        try:
            found = os.stat(self._path)
        except OSError:
            return False
        return (found.st_dev, found.st_ino) == self._place

    def has_mark(self) -> bool:
        """Return whether the mark lies beside it: a builder came that cannot see the locks."""
        return os.path.lexists(mark_path(self.folder))

    def close(self) -> None:
        """Close it here; where other processes have it open, its locks hold on."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1


def leases_path(folder: str) -> str:
    """Return where the file lies whose bytes are locked for the outputs below a folder."""
    return f"{folder}/{OWN_FOLDER}/{FILE}"


def mark_path(folder: str) -> str:
    """Return where the mark of builders lies that cannot see the locks."""
    return f"{folder}/{OWN_FOLDER}/{MARK}"


def has_such_locks() -> bool:
    """Return whether this system has locks of open file descriptions, with 64 bits of offset."""
    return _SET is not None and _GET is not None and sys.maxsize >= OFFSETS


def _call(descriptor: int, command: int | None, kind: int, offset: int) -> bytes:
    assert command is not None
    return fcntl.fcntl(descriptor, command, _FLOCK.pack(kind, os.SEEK_SET, offset, 1, 0))


def _opened(path: str, *, create: bool) -> int:
    try:
        return _regular(open_to_lock(path, create=False), path)
    except FileNotFoundError:
        if not create:
            raise
    make_folder(os.path.dirname(path))
    return _regular(open_to_lock(path, create=True), path)


def _regular(descriptor: int, path: str) -> int:
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError(f"`{path}` is no file")
    return descriptor
