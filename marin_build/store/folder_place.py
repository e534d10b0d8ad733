"""What lies in the place of a local folder, and opening it without following a link there.

A step, or a person, can put a symbolic link in the place of an output. What is written or deleted
"in the output" then happens wherever the link points. So the folder that a write goes to is opened
by itself, and the write goes through that descriptor. Links further up are the user's own choice:
a prefix may be a link to a larger disk.
"""

from __future__ import annotations

import os
import shlex
import stat

from marin_build.errors import StoppedError, StoreError
from marin_build.workspace.own_folder import make_folder

FOLDER_ITSELF = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
"""How to open a folder, and no link to one."""

_KINDS = {stat.S_IFREG: "a file", stat.S_IFIFO: "a pipe", stat.S_IFSOCK: "a socket"}


def in_the_way(folder: str) -> str | None:
    """Return what lies in the place of a folder: `a symbolic link to ...`, `a file`, `a pipe`.

    None if it is a folder, or if nothing is there.
    """
    try:
        mode = os.lstat(folder).st_mode
    except OSError:
        return None
    if stat.S_ISDIR(mode):
        return None
    if stat.S_ISLNK(mode):
        try:
            return f"a symbolic link to `{os.readlink(folder)}`"
        except OSError:  # removed just now
            return "a symbolic link"
    return _KINDS.get(stat.S_IFMT(mode), "a device")


def way_out(folder: str) -> str:
    """Return the hint for what lies in the place of a folder."""
    return f"nothing was written or deleted through it; remove it: rm {shlex.quote(folder)}"


def refuse_what_is_in_the_way(output: str) -> None:
    """Refuse an output path at which a link, a file or anything else but a folder lies.

    Raises:
        StoppedError: it does.

    """
    if (found := in_the_way(output)) is not None:
        raise StoppedError(
            f"{found} lies in the place of the output `{output}`", hint=way_out(output)
        )


def open_folder(folder: str) -> int:
    """Return a descriptor of a folder, opened without following a link in its place.

    Raises:
        StoreError: a link, a file or a pipe lies there.
        OSError: there is no such folder, or it may not be opened.

    """
    try:
        return os.open(folder, FOLDER_ITSELF)
    except OSError as error:
        if (found := in_the_way(folder)) is None:
            raise
        raise StoreError(
            f"{found} lies in the place of the folder `{folder}`", hint=way_out(folder)
        ) from error


def made_and_opened(folder: str) -> int:
    """Return a descriptor of a folder, which is made if it is not there; errors: `open_folder`."""
    try:
        return open_folder(folder)
    except FileNotFoundError:
        make_folder(folder)
        return open_folder(folder)
