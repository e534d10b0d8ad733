"""The lock of a folder on the local disk, which a process holds while it looks and then writes.

On file systems that several machines mount, a lock on a folder may be this machine's alone (NFS
has none for folders): there a file in the folder is locked instead.
"""

from __future__ import annotations

import fcntl
import itertools
import os
import shlex
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

from marin_build.errors import StoreError
from marin_build.pauses import doubled
from marin_build.store.base import GUARD
from marin_build.store.folder_place import made_and_opened, open_folder
from marin_build.store.local_read import store_error
from marin_build.store.lockable_file import open_to_lock

if TYPE_CHECKING:
    from collections.abc import Iterator


LOCK_PATIENCE = 20.0
"""Seconds to wait for a lock that is held for a tenth of a millisecond."""
_FIRST_PAUSE, _LONGEST_PAUSE = 0.001, 0.05


@contextmanager
def locked_folder(path: str, *, is_shared: bool, create: bool = False) -> Iterator[None]:
    """Hold the advisory lock of the folder that holds a file; the kernel frees it if we die.

    `gc` moves whole outputs away. A lock on a folder that is no longer there keeps nobody out.

    Args:
        path: the file.
        is_shared: whether other machines may have the file system mounted: then a file in the
            folder is locked.
        create: make the folder if it is not there; else there is nothing to guard.

    Raises:
        StoreError: it cannot be locked, or a process holds it and does not go on.

    """
    folder = os.path.dirname(path)
    locked = os.path.join(folder, GUARD) if is_shared else folder
    is_there = False
    while not is_there:
        try:
            try:
                opened = made_and_opened(folder) if create else open_folder(folder)
            except FileNotFoundError:
                if create:
                    raise
                yield  # there is nothing to guard
                return
            descriptor = _guard_in(opened) if is_shared else opened
        except OSError as error:
            raise store_error("lock", path, error) from error
        try:
            take_lock(descriptor, locked)
            if is_there := _is_in_place(descriptor, locked):
                yield
        except OSError as error:
            raise store_error("lock", path, error) from error
        finally:
            os.close(descriptor)


def _guard_in(folder: int) -> int:
    """Return a descriptor of the file that is locked in a shared folder; the folder is closed."""
    try:
        return open_to_lock(GUARD, folder=folder, create=True)
    finally:
        os.close(folder)


def _is_in_place(descriptor: int, path: str) -> bool:
    """Return whether what is open still lies at its path."""
    try:
        return os.path.samestat(os.fstat(descriptor), os.lstat(path))
    except (FileNotFoundError, NotADirectoryError):
        return False


def take_lock(descriptor: int, path: str) -> None:
    """Take the lock of an open folder. Who holds it for long is frozen, but may wake up and write.

    Raises:
        StoreError: a process holds it and does not go on.

    """
    deadline = time.monotonic() + LOCK_PATIENCE
    for number in itertools.count(1):
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > deadline:
                raise StoreError(
                    f"cannot lock `{path}`: a process holds it and does not go on",
                    facts=[("waited", f"{LOCK_PATIENCE:g} s")],
                    hint=f"find it with `fuser -v {shlex.quote(path)}`; let it go on, or kill it",
                ) from None
            time.sleep(doubled(number, _FIRST_PAUSE, _LONGEST_PAUSE))
        else:
            return
