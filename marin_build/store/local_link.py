"""Replaces a link of ours on this disk in one step, so that it always leads somewhere."""

from __future__ import annotations

import errno
import itertools
import os
from contextlib import suppress

from marin_build.store.folder_place import made_and_opened

_counter = itertools.count()
_NO_LINK = (errno.EINVAL, errno.ENOENT)


def replace_link(path: str, to: str) -> None:
    """Have a link at a path; a file or a folder that lies there stays as it is.

    Args:
        path: absolute; the folder that it lies in is made if it is not there.
        to: where the link leads, relative to its folder, or absolute.

    Raises:
        OSError: the system refuses.
        StoreError: a link lies in the place of the folder.

    """
    above, name = os.path.split(path)
    folder = made_and_opened(above)
    try:
        found = _link_at(name, folder)
        if found in (None, to):
            return
        if not found:
            with suppress(FileExistsError):  # another process was faster: its link is replaced
                os.symlink(to, name, dir_fd=folder)
                return
        temporary = f".{os.getpid()}-{next(_counter)}.tmp"
        with suppress(FileNotFoundError):  # left by a killed process of the same number
            os.unlink(temporary, dir_fd=folder)
        os.symlink(to, temporary, dir_fd=folder)
        try:
            os.rename(temporary, name, src_dir_fd=folder, dst_dir_fd=folder)
        except OSError:
            os.unlink(temporary, dir_fd=folder)
            raise
    finally:
        os.close(folder)


def _link_at(name: str, folder: int) -> str | None:
    """Return where a link leads, an empty text if nothing is there; None if it is no link."""
    try:
        return os.readlink(name, dir_fd=folder)
    except OSError as error:
        if error.errno not in _NO_LINK:
            raise
        return "" if error.errno == errno.ENOENT else None
