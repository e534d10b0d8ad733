"""Whether the kernel's locks serve as leases below a folder: the type of its disk, and a trial."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from marin_build.store.lock_file import OFFSETS, LockFile, has_such_locks, leases_path
from marin_build.store.mounts import OF_ONE_MACHINE, file_system_of

if TYPE_CHECKING:
    from collections.abc import Callable


def why_not(folder: str, file_system: Callable[[str], str] = file_system_of) -> str:
    """Return why the kernel's locks do not serve as leases below a folder; empty if they do.

    Args:
        folder: can be written. If it is not there yet, nothing is tried: its disk decides.
        file_system: tells the type of the file system of a folder.

    """
    if not has_such_locks():
        return "this system has no locks of open file descriptions"
    kind = file_system(folder)
    if kind not in OF_ONE_MACHINE:
        said = f"a file system of type {kind}" if kind else "a file system of unknown type"
        return f"it lies on {said}, which other machines may have mounted"
    try:
        return _tried(folder) if os.path.isdir(folder) else ""
    except OSError as error:
        return f"cannot lock `{leases_path(folder)}`: {(error.strerror or str(error)).lower()}"


def _tried(folder: str) -> str:
    """Try whether a second description is kept out; return why the locks do not serve, if so."""
    first = LockFile(folder, create=True)
    try:
        second = LockFile(folder, create=False)
        try:
            offset = OFFSETS | int.from_bytes(os.urandom(7), "big")
            if not first.lock(offset):
                return "the lock on a byte that nobody uses was refused"
            return "two descriptions of a file got the same lock" if second.lock(offset) else ""
        finally:
            second.close()
    finally:
        first.close()
