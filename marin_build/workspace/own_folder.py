"""The folder `.marin-build`, which marin-build makes in projects and prefixes; git ignores it.

It ignores itself by a `.gitignore` of its own, as the caches of other tools do. A user who never
ran `marin-build init` would else commit outputs with `git add .`.

Where a group may write, it may write in this folder, too, whatever the umask of its first user
says: all who build in a shared prefix keep their files there.
"""

from __future__ import annotations

import os
import stat
from contextlib import suppress

NAME = ".marin-build"
_IGNORE = "# Made by marin-build. Git ignores this folder.\n*\n"
_INSIDE = f"{os.sep}{NAME}{os.sep}"
_OUTPUTS = "outputs"


def make_folder(path: str) -> None:
    """Create a folder and those above it, as `os.makedirs` does; it may exist.

    The outermost `.marin-build` among them, if it is new, is ignored by git. The innermost one and
    the folders in it can be written by the group that can write around it; outputs, which may lie
    in the one of a project, are made as the umask says.

    Raises:
        OSError: it cannot be created.

    """
    if os.path.isdir(path):
        return
    above, found, _ = f"{path}{os.sep}".partition(_INSIDE)
    own = os.path.join(above, NAME)
    if found and not os.path.isdir(own):
        _make_shared(own)
        with suppress(OSError), open(os.path.join(own, ".gitignore"), "x") as stream:
            stream.write(_IGNORE)
    above, found, inside = f"{path}{os.sep}".rpartition(_INSIDE)
    names = inside.split(os.sep)
    if found and names[0] != _OUTPUTS:
        folder = f"{above}{os.sep}{NAME}"
        _make_shared(folder)
        for name in names[:-1]:
            folder = f"{folder}{os.sep}{name}"
            _make_shared(folder)
    os.makedirs(path, exist_ok=True)


def _make_shared(folder: str) -> None:
    """Create a folder, if it is not there, that the group can write if it can write around it."""
    if os.path.isdir(folder):
        return
    os.makedirs(folder, exist_ok=True)
    around = os.stat(os.path.dirname(folder))
    made = os.stat(folder)
    if around.st_mode & stat.S_IWGRP and around.st_gid == made.st_gid:
        with suppress(OSError):  # another user made it just now
            os.chmod(folder, stat.S_IMODE(made.st_mode) | stat.S_IWGRP)
