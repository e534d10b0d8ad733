"""The files of a project: as git lists them, or as they lie on the disk.

In a git checkout these are the files that git tracks, and the others that it does not ignore; in
submodules and checkouts inside it, too. Elsewhere these are all files but hidden ones, those in
hidden folders, virtual environments, and outputs.
"""

from __future__ import annotations

import os
import subprocess
from dataclasses import dataclass
from typing import TYPE_CHECKING

from marin_build.errors import UsageError
from marin_build.operations.loading.git_worktree import git_environment
from marin_build.protocol.layout import STATUS
from marin_build.text.readable import printable
from marin_build.workspace.workspace import relative_to

if TYPE_CHECKING:
    from collections.abc import Iterator

_VIRTUAL_ENVIRONMENT = "pyvenv.cfg"


@dataclass(frozen=True, slots=True)
class Found:
    """A file of the project: its path inside, and whether git tracks it."""

    path: str
    is_tracked: bool


def files_of(project: str) -> Iterator[Found]:
    """Yield the files of a project, as git or the disk lists them; some may be gone.

    Raises:
        UsageError: git cannot list them.

    """
    tracked = _git_lists(project, "--cached")
    if tracked is None:
        yield from _walked(project)
        return
    others = _git_lists(project, "--others", "--exclude-standard") or []
    for path, is_tracked in [*((p, True) for p in tracked), *((p, False) for p in others)]:
        inner = os.path.join(project, path.rstrip("/"))
        if os.path.isdir(inner) and not os.path.islink(inner):
            if os.path.lexists(os.path.join(inner, ".git")):  # else a submodule that is not there
                for each in files_of(inner):
                    yield Found(f"{path.rstrip('/')}/{each.path}", each.is_tracked)
        else:
            yield Found(path, is_tracked)


def _git_lists(folder: str, *which: str) -> list[str] | None:
    """Return the paths that `git ls-files` lists in a folder; None if it is in no checkout.

    Raises:
        UsageError: git gives no answer.

    """
    words = ["git", "-C", folder, "-c", "core.fsmonitor=false", "ls-files", "-z", *which]
    environ = git_environment() | {"LC_ALL": "C"}
    try:
        done = subprocess.run(
            words, env=environ, stdin=subprocess.DEVNULL, capture_output=True, check=False
        )
    except OSError as error:
        if not _is_in_checkout(folder):
            return None
        said, code = f"cannot run git: {str(error.strerror).lower()}", 1
    else:
        said, code = os.fsdecode(done.stderr).strip(), done.returncode
    if code == 0:
        return list(dict.fromkeys(filter(None, os.fsdecode(done.stdout).split("\0"))))
    if "not a git repository" in said:
        return None
    raise UsageError(
        "git does not list the files of the project",
        facts=[("project", folder), ("git", said)],
        consequence="nothing was submitted",
        hint="a bundle holds what git tracks, and what it does not ignore",
    )


def _is_in_checkout(folder: str) -> bool:
    while not os.path.lexists(os.path.join(folder, ".git")):
        folder, before = os.path.dirname(folder), folder
        if folder == before:
            return False
    return True


def _walked(project: str) -> Iterator[Found]:
    """Yield the files of a project that is in no git checkout."""

    def stop(error: OSError) -> None:
        path = relative_to(str(error.filename), project)
        raise unreadable(path, error) from error

    for folder, folders, files in os.walk(project, onerror=stop):
        if folder != project and {_VIRTUAL_ENVIRONMENT, STATUS}.intersection(files):
            folders.clear()
            continue
        links = [name for name in folders if os.path.islink(os.path.join(folder, name))]
        folders[:] = [n for n in folders if not n.startswith(".") and n not in links]
        inside = "" if folder == project else relative_to(folder, project) + "/"
        for name in [*files, *links]:
            if not name.startswith("."):
                yield Found(f"{inside}{name}", is_tracked=False)


def unreadable(path: str, error: OSError) -> UsageError:
    """Return the error for a file that cannot be read."""
    return UsageError(
        f"cannot read `{printable(path)}` for the bundle of the project's code",
        facts=[("reason", str(error.strerror or error).lower())],
        consequence="nothing was submitted",
        hint="make it readable, or name it in .gitignore",
    )
