"""Locks of the kernel on the outputs below a prefix: whoever dies lets go of them at that instant.

All locks of a prefix are on one file, `{prefix}/.marin-build/leases`, which stays empty. An output
has one byte of it, at an offset made of where the output lies inside the prefix. The lock is one of
an open file description (`F_OFD_SETLK`): no other description gets it, be it of another process or
of this one, and it holds until it is given back, or until the last process that has the description
open is gone. What a process forks has it open, too, unless it closes it.

A file system that other machines have mounted has no such locks: `why_not` says so. Where other
builders cannot see these locks, they leave a mark beside the file, `documents-only`: see
`lease_choice`.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import stat
import struct
import sys
import threading
from contextlib import suppress
from typing import TYPE_CHECKING

from marin_build.store.mounts import OF_ONE_MACHINE, file_system_of
from marin_build.workspace.own_folder import NAME as OWN_FOLDER
from marin_build.workspace.own_folder import make_folder

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager


FILE = "leases"
MARK = "documents-only"
_FLOCK = struct.Struct("hhqqi4x")
"""`struct flock` of 64-bit Linux: type, whence, start, length, pid. Source: man 2 fcntl."""
_OFFSETS = 1 << 62
"""Outputs have offsets below this; those above it serve to try the locks out."""
_SET = getattr(fcntl, "F_OFD_SETLK", None)
_GET = getattr(fcntl, "F_OFD_GETLK", None)
_OPEN = os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK


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


def offset_of(inside: str) -> int:
    """Return the byte of an output, by its path inside the folder: 62 bits of a sha-256."""
    digest = hashlib.sha256(inside.encode("utf-8", "surrogateescape")).digest()
    return int.from_bytes(digest[:8], "big") >> 2


def _call(descriptor: int, command: int | None, kind: int, offset: int) -> bytes:
    assert command is not None
    return fcntl.fcntl(descriptor, command, _FLOCK.pack(kind, os.SEEK_SET, offset, 1, 0))


def _opened(path: str, *, create: bool) -> int:
    """Return a descriptor of the file; one that is made can be written by who can write beside it.

    Several users may share a prefix, whatever their umask says.
    """
    try:
        return _regular(os.open(path, _OPEN), path)
    except FileNotFoundError:
        if not create:
            raise
    folder = os.path.dirname(path)
    make_folder(folder)
    descriptor = _regular(os.open(path, _OPEN | os.O_CREAT, 0o644), path)
    with suppress(OSError):  # another user made it just now
        wanted = stat.S_IMODE(os.fstat(descriptor).st_mode) | (os.stat(folder).st_mode & 0o022)
        os.fchmod(descriptor, wanted)
    return descriptor


def _regular(descriptor: int, path: str) -> int:
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError(f"`{path}` is no file")
    return descriptor


def why_not(folder: str, file_system: Callable[[str], str] = file_system_of) -> str:
    """Return why the kernel's locks do not serve as leases below a folder; empty if they do.

    Args:
        folder: exists, and can be written.
        file_system: tells the type of the file system of a folder.

    """
    if _SET is None or _GET is None or sys.maxsize < _OFFSETS:
        return "this system has no locks of open file descriptions"
    kind = file_system(folder)
    if kind not in OF_ONE_MACHINE:
        said = f"a file system of type {kind}" if kind else "a file system of unknown type"
        return f"it lies on {said}, which other machines may have mounted"
    try:
        return _tried(folder)
    except OSError as error:
        return f"cannot lock `{leases_path(folder)}`: {(error.strerror or str(error)).lower()}"


def _tried(folder: str) -> str:
    """Try whether a second description is kept out; return why the locks do not serve, if so."""
    first = LockFile(folder, create=True)
    try:
        second = LockFile(folder, create=False)
        try:
            offset = _OFFSETS | int.from_bytes(os.urandom(7), "big")
            if not first.lock(offset):
                return "the lock on a byte that nobody uses was refused"
            return "two descriptions of a file got the same lock" if second.lock(offset) else ""
        finally:
            second.close()
    finally:
        first.close()


def locks_around(output: str) -> KernelLocks | None:
    """Return the locks of the prefix that an output seems to lie in; None: no locks are in use.

    For programs that know no prefix. It is the nearest folder with a file of locks.
    """
    folder = output
    while "/" in folder.strip("/"):
        folder = folder.rpartition("/")[0]
        if os.path.lexists(leases_path(folder)):
            return KernelLocks(folder, is_quick=False, create=False)
    return None


class OutputLock:
    """The lock on one output, in each file that has a byte for it.

    Args:
        files: the files and the output's offset in each; the one of the prefix is the last. None:
            the kernel keeps nobody out, only documents do.
        is_quick: whether no builder is known that cannot see the lock.

    """

    __slots__ = ("_files", "_locks", "is_quick")

    def __init__(
        self,
        locks: KernelLocks | None = None,
        files: tuple[tuple[LockFile, int], ...] = (),
        *,
        is_quick: bool = False,
    ) -> None:
        self._locks, self._files = locks, files
        self.is_quick = is_quick

    @property
    def identity(self) -> str:
        """Which file it is on; empty if there is none."""
        return self._files[-1][0].identity if self._files else ""

    def is_in_place(self) -> bool:
        """Return whether who comes now tries the same bytes."""
        return all(file.is_in_place() for file, _ in self._files)

    def release(self) -> None:
        """Let go of it, once."""
        files, self._files = self._files, ()
        if self._locks is not None:
            self._locks.give_back(files)


NO_LOCK = OutputLock()
"""Stands for the lock where only documents keep others out."""


class KernelLocks:
    """The locks of one run, or of one program, on outputs below a prefix.

    Args:
        prefix: an absolute folder, which exists.
        is_quick: whether a lock may be all that keeps others out, for a second.
        create: whether to make the file; else nobody builds by locks where there is none.
        open_file: opens the file of a folder, made if it is not there and `create` says so.
        guard: held while the table of the locks is read or changed.

    """

    def __init__(
        self,
        prefix: str,
        *,
        is_quick: bool = True,
        create: bool = True,
        open_file: Callable[..., LockFile] = LockFile,
        guard: AbstractContextManager[object] | None = None,
    ) -> None:
        self._prefix = prefix
        self._is_quick = is_quick
        self._create = create
        self._open_file = open_file
        self._guard = guard or threading.Lock()
        self._files: dict[str, LockFile] = {}  # by folder
        self._taken: dict[tuple[str, int], LockFile] = {}
        self._left: list[LockFile] = []  # they were deleted while outputs were locked in them

    def open(self) -> None:
        """Open the file of the prefix: what is forked from now on shares the locks."""
        with self._guard, suppress(OSError):
            self._file_of(self._prefix)

    def take(self, output: str) -> OutputLock | None:
        """Take the lock on an output; return None if another has it.

        Where there is none to be had, because the output lies elsewhere or the file cannot be
        opened, it is NO_LOCK.
        """
        if not output.startswith(f"{self._prefix}/"):
            return NO_LOCK
        with self._guard:
            try:
                found = self._take_all(output)
            except OSError:
                return NO_LOCK
        if found is None:
            return None
        return OutputLock(self, found, is_quick=self._is_quick and not found[-1][0].has_mark())

    def is_free(self, output: str, identity: str) -> bool:
        """Return whether no other holds the lock on an output, in the file that a lease names."""
        if not output.startswith(f"{self._prefix}/"):
            return False
        with self._guard:
            try:
                file = self._file_of(self._prefix)
                offset = offset_of(output.removeprefix(f"{self._prefix}/"))
                is_known = file.identity == identity
                return is_known and (identity, offset) not in self._taken and file.is_free(offset)
            except OSError:
                return False

    def give_back(self, files: tuple[tuple[LockFile, int], ...]) -> None:
        """Let go of the bytes of an output."""
        with self._guard:
            self._let_go(files)

    def forget(self) -> None:
        """Close the files in a process that was forked: it holds nothing that the run holds."""
        for file in (*self._files.values(), *self._left):
            file.close()

    def close(self) -> None:
        """Close the files, unless something in this process still works on an output."""
        with self._guard:
            if not self._taken:
                self.forget()
                self._files.clear()
                self._left.clear()

    def _take_all(self, output: str) -> tuple[tuple[LockFile, int], ...] | None:
        """Lock an output in the file of the prefix, and of each prefix that lies between them."""
        found: tuple[tuple[LockFile, int], ...] = ()
        for folder in self._folders(output):
            file = self._file_of(folder)
            offset = offset_of(output[len(folder) + 1 :])
            key = (file.identity, offset)
            if key in self._taken or not file.lock(offset):
                self._let_go(found)
                return None
            self._taken[key] = file
            found = (*found, (file, offset))
            if not file.is_in_place():  # it was deleted: who comes next opens another one
                self._let_go(found)
                self._put_away(folder)
                return self._take_all(output)
        return found

    def _folders(self, output: str) -> tuple[str, ...]:
        """Return the folders with a file of locks around an output, the prefix last.

        Most outputs lie right in the prefix: nothing is looked for.
        """
        inside = output[len(self._prefix) + 1 :].split("/")[:-1]
        if not inside:
            return (self._prefix,)
        between = ["/".join((self._prefix, *inside[:n])) for n in range(1, len(inside) + 1)]
        nested = [folder for folder in between if os.path.lexists(leases_path(folder))]
        return (*nested, self._prefix)

    def _file_of(self, folder: str) -> LockFile:
        """Return the file of a folder, opened once.

        Raises:
            OSError: it cannot be opened.

        """
        file = self._files.get(folder)
        if file is None:
            file = self._files[folder] = self._open_file(
                folder, create=self._create and folder == self._prefix
            )
        return file

    def _put_away(self, folder: str) -> None:
        """Open a file anew that was deleted; the old one stays open while outputs are locked."""
        file = self._files.pop(folder)
        if file in self._taken.values():
            self._left.append(file)
        else:
            file.close()

    def _let_go(self, files: tuple[tuple[LockFile, int], ...]) -> None:
        for file, offset in files:
            if self._taken.pop((file.identity, offset), None) is not None:
                file.unlock(offset)
            if file in self._left and file not in self._taken.values():
                self._left.remove(file)
                file.close()
