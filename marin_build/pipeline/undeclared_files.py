"""Files of the project that commands name but do not declare: changes to them rebuild nothing."""

from __future__ import annotations

import os
import shlex
from typing import TYPE_CHECKING

from marin_build.pipeline.command import Command
from marin_build.pipeline.declared_at import shown

if TYPE_CHECKING:
    from collections.abc import Iterable

    from marin_build.pipeline.step_spec import StepSpec
    from marin_build.workspace.workspace import Workspace


def undeclared_files(steps: Iterable[StepSpec], workspace: Workspace) -> list[str]:
    """Return warnings for files of the project that commands name but do not declare."""
    found: dict[str, None] = {}
    files: dict[str, str | None] = {}  # the commands of a pipeline mostly share their words
    for step in steps:
        if isinstance(step.fn, Command):
            declared = {source.location for source in step.inputs.values()}
            for word in _words(step.fn):
                if word not in files:
                    files[word] = _project_file(word, workspace.project)
                if (path := files[word]) is not None and path not in declared:
                    place = shown(step.declared, workspace.project)
                    found[
                        f"`{step.name}` ({place}) runs `{word}`, which is not a declared input: "
                        "changes to it will not rebuild the step"
                    ] = None
    return list(found)


def _project_file(word: str, project: str) -> str | None:
    """Return the file of the project that a word names; None if it names none."""
    path = os.path.normpath(os.path.join(project, word))
    return path if path.startswith(project + os.sep) and os.path.isfile(path) else None


def _words(command: Command) -> list[str]:
    if isinstance(command.text, tuple):
        return [word for word in command.text if word]
    try:
        return shlex.split(command.text, comments=True)
    except ValueError:
        return command.text.split()
