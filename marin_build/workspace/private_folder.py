"""The folder of a run on this machine, for what lies beside no local output: logs, a journal.

It lies in the folder for temporary files, where every user may make what he likes. So its name ends
in random letters, it is made for this user alone, and one that is not so is not looked into.
"""

from __future__ import annotations

import os
import re
from contextlib import suppress

from marin_build.workspace.own_files import PRIVATE, is_private

_RUN = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]{0,63}")
_known: dict[str, str] = {}
"""By run: the folder that was made or found last."""


def private_folder(run: str) -> str:
    """Return the folder of a run, which is made if it is not there, or not there any more.

    Args:
        run: the run's id.

    Raises:
        OSError: it cannot be made.

    """
    if (found := find_private_folders(run)) != ():
        return found[0]
    import tempfile  # brings half a dozen modules that planning does not use

    _known[run] = tempfile.mkdtemp(prefix=f"{PRIVATE}{run}-")
    return _known[run]


def find_private_folders(run: str) -> tuple[str, ...]:
    """Return the folders of a run on this machine: more than one, if two processes began at once.

    Args:
        run: the id of any run; what no run is called has no folder.

    """
    if (known := _known.get(run)) is not None and _is_ours(known):
        return (known,)
    if _RUN.fullmatch(run) is None:
        return ()
    import tempfile

    above = tempfile.gettempdir()
    try:
        names = os.listdir(above)
    except OSError:
        return ()
    start = f"{PRIVATE}{run}-"
    found = sorted(os.path.join(above, name) for name in names if name.startswith(start))
    return tuple(folder for folder in found if _is_ours(folder))


def forget_private_folder(run: str) -> None:
    """Remove the folder of a run if nothing is in it any more."""
    if (folder := _known.get(run)) is not None:
        with suppress(OSError):
            os.rmdir(folder)


def _is_ours(folder: str) -> bool:
    try:
        return is_private(os.lstat(folder))
    except OSError:
        return False
