"""Where a pipeline stands: its project folder, the prefix its outputs go to, its code policy.

`load` fixes them before the pipeline file is imported, so that nothing can be computed from an
earlier prefix; what a program declares by itself belongs to the project of the file that declares
it, wherever the program is started, with MARIN_PREFIX, the configured prefix or the default one.
Project and prefix are never part of identity.
"""

from __future__ import annotations

import functools
import os
from contextlib import contextmanager
from dataclasses import field
from types import MappingProxyType
from typing import TYPE_CHECKING, Literal, cast, get_args

from marin_build import _package
from marin_build.errors import UsageError
from marin_build.quick_dataclass import dataclass
from marin_build.workspace.configuration import CONFIG_FILE, SHARED_FILE, read_setting
from marin_build.workspace.places import checked_place, is_url

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping


CodePolicy = Literal["report", "rebuild", "ignore"]
"""A change of a step's code is reported, joins the identity, or is ignored."""
DEFAULT_PREFIX = ".marin-build/outputs"
PREFIX_VARIABLE = "MARIN_PREFIX"
PROJECT_VARIABLE = "MARIN_BUILD_PROJECT"
_MARKERS = (CONFIG_FILE, SHARED_FILE, ".git")
_INSTALLED = ("site-packages", "dist-packages")
_OF_A_DISTRIBUTION = ".dist-info"
_CELLS = "ipykernel_"
"""How the name of the folder begins in which Jupyter says cells lie; a debugger creates it."""
_NOTHING: Mapping[str, str] = MappingProxyType({})
_NONE_FORMER: Mapping[str, int] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Workspace:
    """Project, prefix and code policy in force while a pipeline is declared.

    Args:
        project: an absolute local folder.
        prefix: an absolute local folder, or a URL.
        code: the policy of the run or the configuration, for steps that declare none; None if
            neither sets one.
        adopted: target id -> where its data lies, of adopted targets that steps of this run read.
        marin_era: for which Marin pipelines are written, whose modules are ours here; None: for
            none.
        former: today's fingerprint -> the formula under which what the step builds was built, of
            steps that keep a former identity (pipeline/formulas.py).

    """

    project: str
    prefix: str
    code: CodePolicy | None = None
    adopted: Mapping[str, str] = field(default_factory=lambda: _NOTHING, hash=False)
    marin_era: str | None = None
    former: Mapping[str, int] = field(default_factory=lambda: _NONE_FORMER, hash=False)

    def policy(self, said: CodePolicy | None) -> CodePolicy:
        """Return the policy of a step whose author declared `said`; that goes before this one."""
        return said or self.code or "report"


def is_project(folder: str) -> bool:
    """Return whether a folder is marked as a project's."""
    return any(os.path.lexists(os.path.join(folder, marker)) for marker in _MARKERS)


def find_project(start: str) -> str:
    """Return the nearest folder at or above `start` that is a project's, else `start`."""
    start = os.path.abspath(start)
    folder = start
    while True:
        if is_project(folder):
            return folder
        parent = os.path.dirname(folder)
        if parent == folder:
            return start
        folder = parent


def absolute_prefix(prefix: str | os.PathLike[str], base: str) -> str:
    """Return `prefix` without a trailing slash; a relative folder is taken from `base`.

    Raises:
        UsageError: it is nearly a URL.

    """
    prefix = checked_place(os.fspath(prefix))
    if is_url(prefix):
        return prefix.rstrip("/")
    return os.path.normpath(os.path.join(base, os.path.expanduser(prefix)))


def is_cell(file: str) -> bool:
    """Return whether `file` is what typed-in code has as its file: a notebook's cell, `-c`."""
    return file.startswith("<") or os.path.basename(os.path.dirname(file)).startswith(_CELLS)


def installed_in(file: str) -> str | None:
    """Return the folder of installed packages that holds a file; None for a project's file.

    That is a `site-packages`, or what `pip install --target` filled; but a file with a project
    marker on the way up to it is that project's.
    """
    return _project_or_packages(os.path.dirname(file))[1]


def project_of(file: str | None, environ: Mapping[str, str], cwd: str) -> str:
    """Return the project of what a file declares while no workspace is in force.

    Args:
        file: as a code object names it. Typed-in code (which lies in no file), code of an
            installed package, and None belong to the project of the current folder.
        environ: MARIN_BUILD_PROJECT names a project that goes before any other.
        cwd: the current folder.

    """
    if named := environ.get(PROJECT_VARIABLE):
        return os.path.abspath(os.path.join(cwd, named))
    if file is not None and os.path.isabs(file):
        found = _project_of(file)
    else:
        found = None if file is None else _project_of(os.path.join(cwd, file))
    return found if found is not None else find_project(cwd)


@functools.cache
def _project_of(file: str) -> str | None:
    """Return the project of a file; None if it is an installed one, or there is no such file."""
    if is_cell(file) or not os.path.isfile(file):
        return None
    return _project_or_packages(os.path.dirname(os.path.abspath(file)))[0]


@functools.cache
def _project_or_packages(start: str) -> tuple[str | None, str | None]:
    """Return the project that a folder of code lies in, else the packages it is installed among."""
    folder = start
    while True:
        if folder == _package.FOLDER:  # a checkout of ours is no project of the user's
            return None, os.path.dirname(folder)
        if os.path.basename(folder) in _INSTALLED:
            return None, folder
        names = _names_in(folder)
        if any(marker in names for marker in _MARKERS):
            return folder, None
        if any(name.endswith(_OF_A_DISTRIBUTION) for name in names):
            return None, folder
        parent = os.path.dirname(folder)
        if parent == folder:
            return start, None
        folder = parent


def _names_in(folder: str) -> list[str]:
    try:
        return os.listdir(folder)
    except OSError:
        return [marker for marker in _MARKERS if os.path.lexists(os.path.join(folder, marker))]


def default_workspace(
    environ: Mapping[str, str], cwd: str, declared_in: str | None = None
) -> Workspace:
    """Return the workspace for the steps of a program that loads no pipeline file.

    Args:
        environ: may name a prefix and a project.
        cwd: the current folder; a relative MARIN_PREFIX is taken from it.
        declared_in: the file that declares; see `project_of`.

    """
    return _workspace_at(project_of(declared_in, environ, cwd), _given_prefix(environ, cwd))


def _given_prefix(environ: Mapping[str, str], cwd: str) -> str | None:
    given = environ.get(PREFIX_VARIABLE)
    return absolute_prefix(given, cwd) if given else None


@functools.cache
def _workspace_at(project: str, prefix: str | None) -> Workspace:
    if prefix is None:
        prefix = absolute_prefix(read_setting(project, "prefix") or DEFAULT_PREFIX, project)
    code = read_setting(project, "code")
    if code is not None and code not in get_args(CodePolicy):
        raise UsageError(
            f"the setting `code` is one of {', '.join(get_args(CodePolicy))}",
            facts=[("project", project), ("value", repr(code))],
        )
    return Workspace(project, prefix, cast("CodePolicy | None", code))


_current: Workspace | None = None  # not a context variable: threads that run steps see it too


def current_workspace(declared_in: str | None = None) -> Workspace:
    """Return the workspace in force; without one, the default of the declaring file.

    Args:
        declared_in: the file that declares the step or source; see `project_of`.

    """
    return _current or default_workspace(os.environ, os.getcwd(), declared_in)


def former_identities() -> Mapping[str, int]:
    """Return which steps keep a former identity, as the workspace in force says."""
    return _current.former if _current is not None else _NONE_FORMER


def common_prefix() -> str | None:
    """Return the prefix of all steps; None if each has the default one of its own project."""
    if _current is not None:
        return _current.prefix
    if os.environ.get(PROJECT_VARIABLE):
        return current_workspace().prefix
    return _given_prefix(os.environ, os.getcwd())


def joins_identity(said: CodePolicy | None, declared_in: str | None = None) -> bool:
    """Return whether the code of a step is part of its identity now.

    Args:
        said: the policy that the step declares, if any.
        declared_in: the file that declares it; see `project_of`.

    """
    if said is None:
        said = (_current or current_workspace(declared_in)).code
    return said == "rebuild"


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
    """Note that code asked for the place of a step's data, if a caller collects such steps."""
    if _asked is not None:
        _asked.append(step)


@contextmanager
def noting_asked() -> Iterator[list[object]]:
    """Collect the steps whose place code asks for.

    That code may keep the place: if the data turns out to lie elsewhere, it must run again.
    """
    global _asked  # noqa: PLW0603 - one list for all code of the program
    before, _asked = _asked, []
    try:
        yield _asked
    finally:
        _asked = before


def relative(path: str, workspace: Workspace) -> str:
    """Return a place inside the project relative to it; any other place as it is."""
    return relative_to(path, workspace.project)


def relative_to(path: str, folder: str) -> str:
    """Return a place inside a folder relative to it; any other place as it is."""
    if not (path + os.sep).startswith(folder + os.sep):
        return path
    inside = path[len(folder) + 1 :]
    if (
        inside and "./" not in inside and "//" not in inside
    ):  # as nearly all are; relpath takes 4 times as long
        return inside
    return os.path.relpath(path, folder).replace(os.sep, "/")
