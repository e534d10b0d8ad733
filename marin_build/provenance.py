"""Who runs this, and from which state of the code: for the records."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from marin_build.worker import current_user

if TYPE_CHECKING:
    from collections.abc import Sequence

    from marin_build.protocol.documents import Provenance


def provenance(project: str, argv: Sequence[str]) -> Provenance:
    """Return the provenance of what this program builds.

    Args:
        project: the project's folder, which may be a git checkout.
        argv: the program and its arguments; values of `--set` are left out.

    """
    import platform

    from marin_build._version import __version__
    from marin_build.protocol.documents import Provenance

    commit = _git(project, "rev-parse", "HEAD")
    status = _git(project, "status", "--porcelain", "--untracked-files=no")
    return Provenance(
        user=current_user(),
        host=os.uname().nodename,
        argv=tuple(_without_values(argv)),
        python=platform.python_version(),
        marin_build=__version__,
        commit=commit.strip() if commit else None,
        dirty=bool(status.strip()) if status is not None else None,
    )


def _without_values(argv: Sequence[str]) -> list[str]:
    """Return a command line without `--set` values, which may hold what is nobody's business."""
    hidden, found = False, []
    for word in argv:
        if hidden:
            found.append(f"{word.partition('=')[0]}=...")
        elif word.startswith("--set="):
            found.append(f"--set={word.removeprefix('--set=').partition('=')[0]}=...")
        else:
            found.append(word)
        hidden = not hidden and word == "--set"
    return found


def _git(project: str, *args: str) -> str | None:
    import subprocess

    try:
        done = subprocess.run(
            ["git", "-C", project, *args], capture_output=True, text=True, check=False, timeout=10
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout if done.returncode == 0 else None
