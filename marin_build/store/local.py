"""The local disk as a store, correct between processes of one machine.

Every write goes through a temporary file and `rename`. The conditional ones look and write under
an advisory lock (`flock`) on the parent folder, which the kernel frees if the process dies. No file
is ever changed in place, so a version is which file it is, when it was written, and how long.
Nothing is written or deleted through a link in the place of the folder that holds the file.

On file systems that several machines mount, a lock on a folder may be this machine's alone (NFS
has none for folders): there a file in the folder is locked instead, and files are created by
`link`, which the server decides.
"""

from __future__ import annotations

import os
import stat
from contextlib import contextmanager
from typing import TYPE_CHECKING

from marin_build.store.base import GUARD, File
from marin_build.store.folder_lock import locked_folder
from marin_build.store.folder_place import made_and_opened, open_folder
from marin_build.store.local_read import read_file, store_error, version_of
from marin_build.store.temporary_file import write_temporary
from marin_build.workspace.own_folder import make_folder

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from marin_build.store.base import Blob, Store


_MANY = 512
"""From this number of paths on, folders are listed before files are opened."""


class LocalStore:
    """A store of files; paths are absolute.

    Args:
        is_shared: whether other machines may have the file system mounted.
        is_lasting: whether what is written is on disk before it takes the place of something else.

    """

    conditional = True
    is_local = True

    def __init__(self, *, is_shared: bool = False, is_lasting: bool = False) -> None:
        self._is_shared = is_shared
        self._is_lasting = is_lasting

    def lasting(self) -> LocalStore:
        """Return the same store, for writes that a power cut must not leave empty."""
        return LocalStore(is_shared=self._is_shared, is_lasting=True)

    def get(self, path: str) -> Blob | None:
        """Return what is at `path`, or None."""
        return read_file(path)

    def get_many(self, paths: Sequence[str]) -> list[Blob | None]:
        """Return what is at each path; of very many, only those are opened that may be there."""
        if len(paths) < _MANY:
            return [read_file(path) for path in paths]
        from marin_build.store.local_listing import Listings

        listings = Listings(len(paths))
        return [read_file(path) if listings.may_hold(path) else None for path in paths]

    def put(self, path: str, data: bytes) -> str:
        """Write through a temporary file and `rename`."""
        with self._opened(path) as folder:
            temporary, version = write_temporary(path, data, folder, is_lasting=self._is_lasting)
            try:
                os.rename(temporary, _name(path), src_dir_fd=folder, dst_dir_fd=folder)
            except OSError as error:
                os.unlink(temporary, dir_fd=folder)
                raise store_error("write", path, error) from error
            return version

    def put_if_absent(self, path: str, data: bytes) -> str | None:
        """Look and write under the folder's lock."""
        with locked_folder(path, is_shared=self._is_shared, create=True):
            if os.path.lexists(path):
                return None
            return self._link(path, data) if self._is_shared else self.put(path, data)

    def replace_if(self, path: str, data: bytes, version: str) -> str | None:
        """Compare and write under the folder's lock."""
        with locked_folder(path, is_shared=self._is_shared):
            if not self._has(path, version):
                return None
            return self.put(path, data)

    def delete_if(self, path: str, version: str) -> bool:
        """Compare and delete under the folder's lock."""
        with locked_folder(path, is_shared=self._is_shared):
            if not self._has(path, version):
                return False
            os.unlink(path)
            return True

    def files(self, folder: str) -> Sequence[File]:
        """Return every file below a folder; a link counts as what it points to."""
        try:
            return sorted(_files_below(folder))
        except (FileNotFoundError, NotADirectoryError):
            return []
        except OSError as error:
            raise store_error("list", folder, error) from error

    def folders(self, start: str) -> Sequence[str]:
        """Return the paths of the folders that begin with `start`."""
        parent, _, head = start.rpartition("/")
        try:
            with os.scandir(parent) as entries:
                return sorted(
                    f"{parent}/{e.name}"
                    for e in entries
                    if e.name.startswith(head) and _is_folder(e)
                )
        except (FileNotFoundError, NotADirectoryError):
            return []
        except OSError as error:
            raise store_error("list", parent, error) from error

    def list(self, folder: str) -> list[str]:
        """Return the names of the files right in a folder."""
        try:
            with os.scandir(folder) as entries:
                return sorted(e.name for e in entries if not _is_folder(e) and e.name != GUARD)
        except (FileNotFoundError, NotADirectoryError):
            return []
        except OSError as error:
            raise store_error("list", folder, error) from error

    def delete(self, paths: Sequence[str]) -> None:
        """Delete files."""
        for path in paths:
            try:
                folder = open_folder(os.path.dirname(path))
                try:
                    os.unlink(_name(path), dir_fd=folder)
                finally:
                    os.close(folder)
            except FileNotFoundError:
                continue
            except OSError as error:
                raise store_error("delete", path, error) from error

    def move_folder(self, folder: str, to: str) -> None:
        """Move a folder with all that lies in it; nothing is written in it meanwhile.

        Raises:
            StoreError: it cannot be moved: `to` is on another file system, as a rule.

        """
        with locked_folder(f"{folder}/any", is_shared=self._is_shared):
            try:
                make_folder(os.path.dirname(to))
                os.rename(folder, to)
            except OSError as error:
                raise store_error("move", folder, error) from error

    def _link(self, path: str, data: bytes) -> str | None:
        """Create a file that is whole at once; None if the server says that one is there."""
        with self._opened(path) as folder:
            temporary, version = write_temporary(path, data, folder, is_lasting=self._is_lasting)
            try:
                os.link(temporary, _name(path), src_dir_fd=folder, dst_dir_fd=folder)
            except FileExistsError:
                return None
            except OSError as error:
                raise store_error("write", path, error) from error
            finally:
                os.unlink(temporary, dir_fd=folder)
            return version

    def _has(self, path: str, version: str) -> bool:
        """Return whether this version is there."""
        try:
            return version_of(os.lstat(path)) == version
        except (FileNotFoundError, NotADirectoryError):
            return False
        except OSError as error:
            raise store_error("read", path, error) from error

    @contextmanager
    def _opened(self, path: str) -> Iterator[int]:
        """Hold a descriptor of the folder of `path`, which is made if it is not there."""
        try:
            folder = made_and_opened(os.path.dirname(path))
        except OSError as error:
            raise store_error("write", path, error) from error
        try:
            yield folder
        finally:
            os.close(folder)


def _name(path: str) -> str:
    return path.rpartition("/")[2]


def _files_below(top: str) -> Iterator[File]:
    """Yield the files below a folder, without recursion: folders may be thousands deep."""
    pending = [""]
    while pending:
        inside = pending.pop()
        with os.scandir(f"{top}/{inside}") as entries:
            for entry in entries:
                path = inside + entry.name
                if entry.is_dir(follow_symlinks=False):
                    pending.append(f"{path}/")
                elif entry.name != GUARD:
                    yield File(path, _size(entry))


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link to itself
        return False


def _size(entry: os.DirEntry[str]) -> int:
    try:
        status = entry.stat()
    except OSError:  # a link to nowhere, or to itself
        return 0
    return 0 if stat.S_ISFIFO(status.st_mode) or stat.S_ISSOCK(status.st_mode) else status.st_size


def lasting(store: Store) -> Store:
    """Return a store whose files are on disk before they take the place of others; or `store`.

    For what must not be lost though no build follows: the status of an output that is days old, or
    the mark that data is being adopted.
    """
    return store.lasting() if type(store) is LocalStore else store
