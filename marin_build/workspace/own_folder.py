"""The folder `.marin-build`, which marin-build makes in projects and prefixes; git ignores it.

It ignores itself by a `.gitignore` of its own, as the caches of other tools do. A user who never
ran `marin-build init` would else commit outputs with `git add .`.
"""

from __future__ import annotations

import os
from contextlib import suppress

NAME = ".marin-build"
_IGNORE = "# Made by marin-build. Git ignores this folder.\n*\n"


def make_folder(path: str) -> None:
    """Create a folder and those above it, as `os.makedirs` does; it may exist.

    The outermost `.marin-build` among them, if it is new, is ignored by git.

    Raises:
        OSError: it cannot be created.

    """
    above, found, _ = f"{path}{os.sep}".partition(f"{os.sep}{NAME}{os.sep}")
    own = os.path.join(above, NAME)
    if found and not os.path.isdir(own):
        os.makedirs(own, exist_ok=True)
        with suppress(OSError), open(os.path.join(own, ".gitignore"), "x") as stream:
            stream.write(_IGNORE)
    os.makedirs(path, exist_ok=True)
