"""Where a pipeline stands: its project folder, the prefix its outputs go to, its code policy.

`load` fixes them before the pipeline file is imported, so that nothing can be computed from an
earlier prefix; a program that declares steps by itself gets MARIN_PREFIX or the default.
Project and prefix are never part of identity.
"""

from __future__ import annotations

import os
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping


CodePolicy = Literal["report", "rebuild", "ignore"]
"""What a change of a step's code does: it is told, it joins identity, or it is not told."""
DEFAULT_PREFIX = ".marin-build/outputs"
PREFIX_VARIABLE = "MARIN_PREFIX"
CONFIG_FILE = "marin-build.toml"
_MARKERS = (CONFIG_FILE, "pyproject.toml", ".git")
_NOTHING: Mapping[str, str] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Workspace:
    """What is in force while a pipeline is declared.

    Args:
        project: an absolute local folder.
        prefix: an absolute local folder, or a URL.
        code: the policy for steps that say none, as the run or the configuration has it; None if
            they do not say either.
        adopted: target id -> where its data lies, of adopted targets that steps of this run read.

    """

    project: str
    prefix: str
    code: CodePolicy | None = None
    adopted: Mapping[str, str] = field(default_factory=lambda: _NOTHING, hash=False)

    def policy(self, said: CodePolicy | None) -> CodePolicy:
        """Return the policy of a step that says `said`: its author's word goes first."""
        return said or self.code or "report"


def is_url(path: str) -> bool:
    """Return whether `path` names a place of a remote store (`scheme://...`)."""
    return "://" in path


def find_project(start: str) -> str:
    """Return the nearest folder at or above `start` that is a project's, else `start`."""
    start = os.path.abspath(start)
    folder = start
    while True:
        if any(os.path.lexists(os.path.join(folder, marker)) for marker in _MARKERS):
            return folder
        parent = os.path.dirname(folder)
        if parent == folder:
            return start
        folder = parent


def absolute_prefix(prefix: str, base: str) -> str:
    """Return `prefix` without a trailing slash; a relative folder is taken from `base`."""
    if is_url(prefix):
        return prefix.rstrip("/")
    return os.path.normpath(os.path.join(base, os.path.expanduser(prefix)))


def default_workspace(environ: Mapping[str, str], cwd: str) -> Workspace:
    """Return the workspace of a program that loads no pipeline file."""
    project = find_project(cwd)
    given = environ.get(PREFIX_VARIABLE)
    prefix = absolute_prefix(given, cwd) if given else absolute_prefix(DEFAULT_PREFIX, project)
    return Workspace(project, prefix)


_current: Workspace | None = None  # not a context variable: threads that run steps see it too


def current_workspace() -> Workspace:
    """Return the workspace in force."""
    return _current or default_workspace(os.environ, os.getcwd())


def joins_identity(said: CodePolicy | None) -> bool:
    """Return whether the code of a step that says `said` is part of its identity now."""
    return (said or (_current.code if _current is not None else None)) == "rebuild"


def use_workspace(workspace: Workspace | None) -> Workspace | None:
    """Put `workspace` in force for this program; None returns to the default.

    Returns:
        What was in force before; None: the default.

    """
    global _current
    before, _current = _current, workspace
    return before


_asked: list[object] | None = None


def note_asked(step: object) -> None:
    """Take note that the place of a step's data was asked for, where somebody listens."""
    if _asked is not None:
        _asked.append(step)


@contextmanager
def noting_asked() -> Iterator[list[object]]:
    """Collect the steps whose place is asked for: who keeps a place must be told of another one."""
    global _asked  # noqa: PLW0603 - what is asked in a program is a fact about the program
    before, _asked = _asked, []
    try:
        yield _asked
    finally:
        _asked = before


def relative(path: str, workspace: Workspace) -> str:
    """Return a place inside the project relative to it; any other place as it is."""
    if not (path + os.sep).startswith(workspace.project + os.sep):
        return path
    inside = path[len(workspace.project) + 1 :]
    if (
        inside and "./" not in inside and "//" not in inside
    ):  # as nearly all are; relpath takes 4 times as long
        return inside
    return os.path.relpath(path, workspace.project).replace(os.sep, "/")
