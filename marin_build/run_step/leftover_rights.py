"""What an earlier attempt left in an output, and forbade to be written or deleted."""

from __future__ import annotations

import os
import shutil
import stat
from contextlib import suppress

from marin_build.errors import StoreError
from marin_build.protocol import layout
from marin_build.store.local_read import owner_of


def give_rights_back(output: str) -> None:
    """Let this user read and write an output, and the folder of its logs: a step may forbid it."""
    for folder in (output, f"{output}/{layout.LOGS}"):
        _give_back(folder)


def _give_back(folder: str) -> bool:
    """Let the owner of a folder in; return whether it is a folder, and no link to one."""
    try:
        mode = os.lstat(folder).st_mode
        if not stat.S_ISDIR(mode):
            return False
        if mode & stat.S_IRWXU != stat.S_IRWXU:
            os.chmod(folder, stat.S_IMODE(mode) | stat.S_IRWXU)
    except OSError:  # what is done in it then says what is wrong
        return False
    return True


def remove(entry: os.DirEntry[str]) -> None:
    """Delete what an earlier attempt left, with the rights restored that it took from itself.

    Raises:
        StoreError: it is another user's, or cannot be deleted for another reason.

    """
    try:
        if not entry.is_dir(follow_symlinks=False):
            os.unlink(entry.path)
            return
        with suppress(PermissionError):
            _delete_folder(entry.path)
            return
        todo = [entry.path]
        while todo:
            folder = todo.pop()
            if _give_back(folder):
                with os.scandir(folder) as inner:
                    todo += [each.path for each in inner if each.is_dir(follow_symlinks=False)]
        _delete_folder(entry.path)
    except PermissionError as error:
        raise _not_ours(entry.path, error) from error


def _delete_folder(path: str) -> None:
    """Delete a folder and what is in it, however deep that is."""
    try:
        shutil.rmtree(path)
    except RecursionError:  # Python 3.11 goes down by recursion
        _delete_deep_folder(path)


def _delete_deep_folder(path: str) -> None:
    folders = [path]
    for folder in folders:  # and what is appended meanwhile
        with os.scandir(folder) as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    folders.append(entry.path)
                else:
                    os.unlink(entry.path)
    for folder in reversed(folders):
        os.rmdir(folder)


def _not_ours(path: str, error: OSError) -> StoreError:
    """Return the error for what an earlier attempt left, and this user may not delete."""
    return StoreError(
        f"cannot clear what an earlier attempt left: `{path}`, {owner_of(path)}: "
        f"{(error.strerror or str(error)).lower()}; delete it with the rights of its owner"
    )
