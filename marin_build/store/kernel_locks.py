"""Locks of the kernel on the outputs below a prefix: a process that dies lets go of them at once.

All locks of a prefix are on one file, `{prefix}/.marin-build/leases`. An output has one byte of it,
at an offset made of where the output lies inside the prefix.

A file system that other machines have mounted has no such locks: `try_locks` says so. Where other
builders cannot see these locks, they leave a mark beside the file, `documents-only`: see
`lease_choice`.
"""

from __future__ import annotations

import hashlib
import os
import threading
from contextlib import suppress
from typing import TYPE_CHECKING

from marin_build.store.lock_file import LockFile, leases_path

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager


def offset_of(inside: str) -> int:
    """Return the byte of an output, by its path inside the folder: 62 bits of a sha-256."""
    digest = hashlib.sha256(inside.encode("utf-8", "surrogateescape")).digest()
    return int.from_bytes(digest[:8], "big") >> 2


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
