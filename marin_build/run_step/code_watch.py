"""The code that the steps of a run use: first-party code they reach, and scripts commands name.

It was read when the run began. A step that imports late, or a program that it starts, reads the
files again: what such a step leaves was built by code that no record names.
"""

from __future__ import annotations

import functools
import hashlib
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from marin_build.identity.callables import local_function
from marin_build.identity.code.changes import reached_code
from marin_build.pipeline.command import Command
from marin_build.pipeline.command_scripts import scripts_of
from marin_build.workspace.regular_files import open_regular
from marin_build.workspace.workspace import current_workspace

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from marin_build.identity.code.changes import ReachedCode
    from marin_build.pipeline.step_spec import StepSpec
    from marin_build.pipeline.targets import Targets


_Script = tuple[int, int, int, str]
"""A script: size in bytes, last write in ns, number of the file, and digest."""


@dataclass(frozen=True, slots=True)
class StepCode:
    """The code of one step as it was when it was looked at.

    Args:
        reached: the first-party code of its function; None for a command.
        scripts: what a command runs, by path.
        project: the folder that paths are shown from.

    """

    reached: ReachedCode | None
    scripts: Mapping[str, _Script | None]
    project: str = ""

    def changed(self) -> str:
        """Return what changed since, by name; empty if nothing did."""
        for path, was in self.scripts.items():
            if _has_changed(path, was):
                return f"`{os.path.relpath(path, self.project)}`"
        name = self.reached.changed() if self.reached is not None else ""
        return f"`{name}`" if name else ""


class CodeWatch:
    """Tells which code changed since a run began.

    Args:
        targets: all targets of the pipeline.
        to_build: those that are to be built.

    """

    def __init__(self, targets: Targets, to_build: Iterable[int]) -> None:
        read = functools.cache(_read)  # many steps run one script
        steps = {index: targets.all[index].step for index in to_build}
        self._code = {
            index: look_at_code(step, read)
            for index, step in steps.items()
            if targets.workspace.policy(step.code) != "ignore"
        }

    def changed(self, index: int) -> str:
        """Return what changed of the code of a target, by name; empty if nothing did."""
        code = self._code.get(index)
        return code.changed() if code is not None else ""


def look_at_code(step: StepSpec, read: Callable[[str], _Script | None] | None = None) -> StepCode:
    """Return the code of a step as it is; declared inputs are not among it.

    Args:
        step: the step.
        read: reads a script; None: each anew.

    """
    fn = local_function(step.fn)
    if isinstance(fn, Command):
        declared = {source.location for source in step.inputs.values()}
        scripts = [path for path in scripts_of(fn) if path not in declared]
        found = {path: (read or _read)(path) for path in scripts}
        return StepCode(None, found, current_workspace(fn.declared_in).project)
    return StepCode(reached_code(fn, step.declared[0]) if fn is not None else None, {})


def _read(path: str) -> _Script | None:
    try:
        with open_regular(path) as stream:
            found = os.fstat(stream.fileno())
            digest = hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError:
        return None
    return found.st_size, found.st_mtime_ns, found.st_ino, digest


def _has_changed(path: str, was: _Script | None) -> bool:
    try:
        found = os.stat(path)
    except OSError:
        return was is not None
    if was is not None and was[:3] == (found.st_size, found.st_mtime_ns, found.st_ino):
        return False
    now = _read(path)
    return (now and now[3]) != (was and was[3])
