"""Which file system a folder is on, and whether locks hold there."""

from __future__ import annotations

import fcntl
import os

from marin_build.errors import StoreError
from marin_build.store.base import GUARD
from marin_build.workspace.own_files import open_own

SHARED = ("nfs", "cifs", "smb", "lustre", "gpfs", "ceph", "beegfs", "afs", "gluster", "9p", "fuse")
"""How the types of file systems begin that several machines may have mounted."""
OF_ONE_MACHINE = frozenset(
    ("ext2", "ext3", "ext4", "xfs", "btrfs", "f2fs", "zfs", "bcachefs", "jfs", "tmpfs", "ramfs",
     "overlay")
)  # fmt: skip
"""The types of file systems whose kernel is the only one that has them mounted."""
_MOUNTS = "/proc/self/mountinfo"
_BUSY = 75


def is_shared(folder: str, mounts: str = _MOUNTS) -> bool:
    """Return whether a folder, or what will be its parent, may be mounted by other machines."""
    return file_system_of(folder, mounts).startswith(SHARED)


def file_system_of(folder: str, mounts: str = _MOUNTS) -> str:
    """Return the type of the file system of a folder, or of what will be its parent: `ext4`.

    Empty where the system does not tell.
    """
    path = os.path.realpath(folder)
    try:
        with open(mounts, encoding="utf-8", errors="surrogateescape") as stream:
            lines = stream.readlines()
    except OSError:
        return ""
    best, kind = "", ""
    for line in lines:
        # man 5 proc: the mount point is field 5; the type follows ` - `
        left, _, right = line.partition(" - ")
        point = left.split(" ")[4].encode().decode("unicode_escape")
        inside = path == point or path.startswith(point.rstrip("/") + "/")
        if inside and len(point) >= len(best):
            best, kind = point, right.split(" ", 1)[0]
    return kind


def probe_locks(folder: str) -> None:
    """Try on a shared file system whether a lock keeps another process out.

    Raises:
        StoreError: it does not, or there are no locks; leases would not hold.

    """
    path = os.path.join(folder, GUARD)
    try:
        descriptor = open_own(path, os.O_RDWR | os.O_CREAT, any_folder=True)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            holds = _is_kept_out(path)
        finally:
            os.close(descriptor)
    except OSError as error:
        raise _no_locks(folder, str(error.strerror).lower()) from error
    if not holds:
        raise _no_locks(folder, "two processes got the same lock")


def _is_kept_out(path: str) -> bool:
    """Return whether another process cannot get the lock on a file."""
    child = os.fork()
    if child == 0:
        code = 1
        try:
            fcntl.flock(open_own(path, os.O_RDWR, any_folder=True), fcntl.LOCK_EX | fcntl.LOCK_NB)
            code = 0
        except BlockingIOError:
            code = _BUSY
        finally:
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == _BUSY


def _no_locks(folder: str, why: str) -> StoreError:
    return StoreError(
        f"no lease holds at `{folder}`: its file system has no locks",
        facts=[("reason", why)],
        consequence="nothing was run",
        hint="mount it with locks, or say `--no-lease` if no other run builds there",
    )
