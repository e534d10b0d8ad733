"""Files of ours, opened so that what another user puts in their place leads us nowhere else.

A link is not followed, neither as the file nor as the folder right above it, and what is no regular
file is refused before anything waits for it. Files below a private folder are reached through its
descriptor, once it is known to be ours.
"""

from __future__ import annotations

import errno
import os
import stat

from marin_build.workspace.regular_files import no_file

PRIVATE = "marin-build-run-"
"""How the names of private folders begin; see private_folder.py."""
_SAFE = os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC | os.O_NOFOLLOW
_OTHERS = 0o077
_WRITABLE = 0o022
_NO_FILE = (errno.ELOOP, errno.ENXIO, errno.ENOTDIR, errno.EISDIR)


def open_own(path: str, flags: int, mode: int = 0o644, *, any_folder: bool = False) -> int:
    """Open a file of ours; return its descriptor, which programs do not inherit.

    Args:
        path: absolute.
        flags: as for `os.open`.
        mode: the rights of a file that is made.
        any_folder: whether the folder it lies in may be a link, because a person chose it.

    Raises:
        OSError: it cannot be opened, or something else than a file lies there.

    """
    folder, name = os.path.split(path)
    if PRIVATE in folder:
        descriptor = _open_private(path, flags)
    elif any_folder:
        descriptor = _open(path, flags, mode, None, path)
    else:
        above = _open(folder, _FOLDER, 0, None, folder)
        try:
            descriptor = _open(name, flags, mode, above, path)
        finally:
            os.close(above)
    status = os.fstat(descriptor)
    if not stat.S_ISREG(status.st_mode):
        os.close(descriptor)
        raise no_file(path, status)
    return descriptor


def open_unaltered(path: str, *, any_folder: bool = False) -> int:
    """Open a file of ours to be read, if no other user may have written it; as `open_own`.

    Raises:
        OSError: it cannot be opened.
        ValueError: another user may have written it.

    """
    descriptor = open_own(path, os.O_RDONLY, any_folder=any_folder)
    status = os.fstat(descriptor)
    if status.st_uid != os.geteuid() or status.st_mode & _WRITABLE:
        os.close(descriptor)
        raise ValueError("another user may have written it")
    return descriptor


def read_own(path: str, most: int) -> bytes:
    """Return what is in a file of ours.

    Raises:
        OSError: it cannot be read, has more than `most` bytes, or something else lies there.

    """
    with open(open_own(path, os.O_RDONLY, any_folder=True), "rb") as stream:
        is_longer = os.fstat(stream.fileno()).st_size > most
        data = b"" if is_longer else stream.read(most + 1)
    if is_longer or len(data) > most:
        raise OSError(errno.EFBIG, f"more than {most} bytes", path)
    return data


def is_private(status: os.stat_result) -> bool:
    """Return whether a folder is ours, and no other user may do anything in it."""
    is_folder = stat.S_ISDIR(status.st_mode)
    return is_folder and status.st_uid == os.geteuid() and not status.st_mode & _OTHERS


def _open_private(path: str, flags: int) -> int:
    parts = path.split(os.sep)
    place = next(i for i, part in enumerate(parts) if part.startswith(PRIVATE)) + 1
    folder, inside = os.sep.join(parts[:place]), os.path.join(*parts[place:])
    descriptor = _open(folder, _FOLDER, 0, None, folder)
    try:
        if not is_private(os.fstat(descriptor)):
            raise PermissionError(errno.EPERM, "another user may change this folder", folder)
        return _open(inside, flags, 0o600, descriptor, path)
    finally:
        os.close(descriptor)


def _open(name: str, flags: int, mode: int, above: int | None, path: str) -> int:
    try:
        return os.open(name, flags | _SAFE, mode, dir_fd=above)
    except OSError as error:
        status = _looked_at(path) if error.errno in _NO_FILE else None
        if status is not None and not stat.S_ISREG(status.st_mode):
            raise no_file(path, status) from None
        raise OSError(error.errno, error.strerror, path) from None


def _looked_at(path: str) -> os.stat_result | None:
    try:
        return os.lstat(path)
    except OSError:
        return None
