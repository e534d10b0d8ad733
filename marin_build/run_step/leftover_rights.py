"""Deletes what an earlier attempt left in an output, also what it forbade to be written or deleted.

Whatever lies there, nothing outside the output is touched: every folder is opened from the one
around it, and never through a link, even if one is put there meanwhile.
"""

from __future__ import annotations

import itertools
import os
import shutil
import stat
from typing import TYPE_CHECKING

from marin_build.errors import StoreError
from marin_build.protocol import layout
from marin_build.store.folder_place import FOLDER_ITSELF, open_folder
from marin_build.store.local_read import owner_of

if TYPE_CHECKING:
    from collections.abc import Callable


def give_rights_back(output: str) -> None:
    """Let this user read and write an output, and the folder of its logs: a step may forbid it."""
    for folder in (output, f"{output}/{layout.LOGS}"):
        _give_back(folder)


def clear_folder(output: str, is_kept: Callable[[str], bool]) -> None:
    """Delete what lies in a local output, with the rights restored that it took from itself.

    Args:
        output: the folder.
        is_kept: tells by its name whether something right in the folder stays.

    Raises:
        StoreError: something is another user's, or a link lies in the place of the folder.
        OSError: something cannot be deleted for another reason.

    """
    give_rights_back(output)
    folder = open_folder(output)
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                if not is_kept(entry.name):
                    _remove(entry, folder, f"{output}/{entry.name}")
    finally:
        os.close(folder)


def _give_back(name: str, folder: int | None = None) -> bool:
    """Let the owner of a folder in; return whether it is a folder, and no link to one."""
    try:
        mode = os.lstat(name, dir_fd=folder).st_mode
        if not stat.S_ISDIR(mode):
            return False
        if mode & stat.S_IRWXU != stat.S_IRWXU:
            os.chmod(name, stat.S_IMODE(mode) | stat.S_IRWXU, dir_fd=folder)
    except OSError:  # what is done in it then says what is wrong
        return False
    return True


def _remove(entry: os.DirEntry[str], folder: int, path: str) -> None:
    """Delete one entry of an opened folder.

    Raises:
        StoreError: it is another user's.

    """
    try:
        if not entry.is_dir(follow_symlinks=False):
            os.unlink(entry.name, dir_fd=folder)
            return
        try:
            shutil.rmtree(entry.name, dir_fd=folder)
        except (PermissionError, RecursionError):  # Python 3.11 goes down by recursion
            _remove_one_by_one(entry.name, folder)
    except PermissionError as error:
        raise _not_ours(path, error) from error


def _remove_one_by_one(name: str, folder: int) -> None:
    """Delete a folder of any depth and rights: its inner folders are moved out of it first."""
    aside, numbers = f".removed-{os.urandom(8).hex()}", itertools.count()
    todo = [name]
    _give_back(name, folder)
    while todo:
        here = todo.pop()
        inner = os.open(here, FOLDER_ITSELF, dir_fd=folder)
        try:
            with os.scandir(inner) as entries:
                for entry in entries:
                    if entry.is_dir(follow_symlinks=False):
                        _give_back(entry.name, inner)  # to be moved, it must be writable
                        todo.append(f"{aside}-{next(numbers)}")
                        os.rename(entry.name, todo[-1], src_dir_fd=inner, dst_dir_fd=folder)
                    else:
                        os.unlink(entry.name, dir_fd=inner)
        finally:
            os.close(inner)
        os.rmdir(here, dir_fd=folder)


def _not_ours(path: str, error: OSError) -> StoreError:
    """Return the error for what an earlier attempt left, and this user may not delete."""
    return StoreError(
        f"cannot clear what an earlier attempt left: `{path}`, {owner_of(path)}: "
        f"{(error.strerror or str(error)).lower()}; delete it with the rights of its owner"
    )
