"""The scripts that a command names: files of the project that a program runs, not data it reads."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING

from marin_build.identity.module_files import find_in
from marin_build.workspace.workspace import current_workspace

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from marin_build.pipeline.command import Command


_SUFFIXES = {
    ".awk", ".bash", ".fish", ".jl", ".js", ".ksh", ".lua", ".m", ".mjs", ".php", ".pl", ".py",
    ".r", ".rb", ".sed", ".sh", ".sql", ".ts", ".zsh",
}  # fmt: skip
_SHELL_WORD = re.compile(r"[^\s'\"`;|&<>(){}$]+")


def scripts_of(command: Command) -> tuple[str, ...]:
    """Return the paths of the scripts that the words of a command name, each once.

    A word names one if it is the path of a file of the project, from its root, that is executable
    or has the suffix of a program; or if it is a module after `-m`.
    """
    project = current_workspace(command.declared_in).project
    text = command.text
    words = text if isinstance(text, tuple) else tuple(_SHELL_WORD.findall(text))
    return tuple(dict.fromkeys(_scripts(project, words)))


def _scripts(project: str, words: Sequence[str]) -> Iterator[str]:
    for before, word in zip(("", *words), words, strict=False):
        if before == "-m" and word.replace(".", "").isidentifier():
            if (found := _module(project, word)) is not None:
                yield found
            continue
        path = os.path.normpath(os.path.join(project, word))
        if path.startswith(project + os.sep) and os.path.isfile(path) and _is_script(path):
            yield path


def _is_script(path: str) -> bool:
    return os.path.splitext(path)[1].lower() in _SUFFIXES or os.access(path, os.X_OK)


def _module(project: str, name: str) -> str | None:
    """Return the file that `python -m name` runs in the project's folder; None if it has none."""
    folders: tuple[str, ...] = (project,)
    for part in name.split("."):
        found = find_in(folders, part)
        if found is None:
            return None
        file, folders = found
    main = os.path.join(folders[0], "__main__.py") if folders else file
    return main if os.path.isfile(main) else None
