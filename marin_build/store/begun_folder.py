"""An output folder in which nothing lay when its building began, and the few writes until its end.

The folder is opened once, and what is written goes through that descriptor. A file that only its
writer reads until the end is written in its place; one that others look for, in one step.
"""

from __future__ import annotations

import fcntl
import os
from typing import TYPE_CHECKING

from marin_build.store.folder_lock import take_lock
from marin_build.store.folder_place import FOLDER_ITSELF
from marin_build.store.local_read import store_error
from marin_build.store.temporary_file import write_temporary
from marin_build.workspace.own_folder import make_folder

if TYPE_CHECKING:
    from collections.abc import Mapping


_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW


class BegunFolder:
    """The folder, and a file in it that was made first and gets its content at the end.

    Args:
        path: of the folder, absolute.
        descriptor: the folder.
        name: of the file.
        file: the file.

    """

    __slots__ = ("_descriptor", "_file", "_name", "_path")

    def __init__(self, path: str, descriptor: int, name: str, file: int) -> None:
        self._path, self._descriptor, self._name, self._file = path, descriptor, name, file

    def is_in_place(self) -> bool:
        """Return whether the folder lies where it was made; what lies in it is its builder's."""
        return _is_same(self._path, self._descriptor)

    def finish(
        self, content: bytes, others: Mapping[str, bytes], last: str, token: bytes, absent: str
    ) -> bool:
        """Write the content of the file, further files, and one that says that all is there.

        Args:
            content: of the file that was made first.
            others: name -> content of further files; they may be there.
            last: the name of the file that says it, which may not be there.
            token: its content.
            absent: the name of another file that may not be there.

        Returns:
            False if the folder is another one by now, or one of the two files is there.

        Raises:
            StoreError: it cannot be written.

        """
        try:
            _write(self._file, content)
            # Those who write on a condition look and write under this lock, too.
            take_lock(self._descriptor, self._path)
            try:
                if not self.is_in_place() or self._has(absent) or self._has(last):
                    return False
                if not self._has_first_file():  # its builder wrote one of its own, as Marin does
                    self._replace(self._name, content)
                for name, data in others.items():
                    self._replace(name, data)
                self._replace(last, token)
            finally:
                # A process that was forked meanwhile may have the folder open, too.
                fcntl.flock(self._descriptor, fcntl.LOCK_UN)
        except OSError as error:
            raise store_error("write", f"{self._path}/{last}", error) from error
        return True

    def take_back(self) -> None:
        """Delete the file that was made first, if it is still the one; close all.

        Raises:
            StoreError: it cannot be deleted.

        """
        try:
            if self.is_in_place() and self._has_first_file():
                os.unlink(self._name, dir_fd=self._descriptor)
        except OSError as error:
            raise store_error("delete", f"{self._path}/{self._name}", error) from error
        finally:
            self.close()

    def close(self) -> None:
        """Close folder and file."""
        for descriptor in (self._file, self._descriptor):
            if descriptor >= 0:
                os.close(descriptor)
        self._file = self._descriptor = -1

    def _has_first_file(self) -> bool:
        return _is_same(f"{self._path}/{self._name}", self._file)

    def _has(self, name: str) -> bool:
        try:
            os.lstat(name, dir_fd=self._descriptor)
        except FileNotFoundError:
            return False
        return True

    def _replace(self, name: str, data: bytes) -> None:
        """Have a file that is whole as soon as it is there."""
        folder = self._descriptor
        temporary, _ = write_temporary(f"{self._path}/{name}", data, folder)
        try:
            os.rename(temporary, name, src_dir_fd=folder, dst_dir_fd=folder)
        except OSError:
            os.unlink(temporary, dir_fd=folder)
            raise


def _is_same(path: str, descriptor: int) -> bool:
    """Return whether what is open lies at a path."""
    try:
        return os.path.samestat(os.lstat(path), os.fstat(descriptor))
    except OSError:  # nothing lies there, or it is closed
        return False


def begin_folder(path: str, name: str, content: bytes) -> BegunFolder | None:
    """Make a folder and a first file in it; return None if anything lies there.

    Args:
        path: of the folder, absolute.
        name: of the file.
        content: what the file says until the end.

    Raises:
        StoreError: it cannot be made.

    """
    try:
        is_new = _make(path)
        try:
            folder = os.open(path, FOLDER_ITSELF)
        except OSError:
            if is_new:
                raise
            return None  # a link or a file: who looks closer says so
        try:
            if not is_new and os.listdir(folder):
                os.close(folder)
                return None
            file = os.open(name, _NEW, 0o644, dir_fd=folder)
        except FileExistsError:
            os.close(folder)
            return None
        except OSError:
            os.close(folder)
            raise
        begun = BegunFolder(path, folder, name, file)
        try:
            _write(file, content)
        except OSError:
            begun.close()
            raise
    except OSError as error:
        raise store_error("write", f"{path}/{name}", error) from error
    return begun


def _make(path: str) -> bool:
    """Make a folder; return whether it was not there."""
    try:
        os.mkdir(path)
    except FileExistsError:
        return False
    except FileNotFoundError:
        make_folder(os.path.dirname(path))
        return _make(path)
    return True


def _write(descriptor: int, data: bytes) -> None:
    """Write from the beginning of a file; what it held is shorter."""
    written = os.pwrite(descriptor, data, 0)
    while written < len(data):
        written += os.pwrite(descriptor, data[written:], written)
