"""Which files of the project the steps of a pipeline name: warnings of a load rest on them.

`pipeline/undeclared_files.py` warns of files that a step names and does not declare. Such a file
may come and go while nothing changes that the load itself looked at.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from marin_build.pipeline.command import Command
from marin_build.pipeline.undeclared_files import texts_in, words_of_command

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from marin_build.pipeline.step_spec import StepSpec

_LONGEST = 4096
"""Characters of the longest path."""


def texts_of(steps: Iterable[StepSpec]) -> list[str]:
    """Return the texts in attributes and commands that may be paths, each once."""
    found: dict[str, None] = {}
    for step in steps:
        for key, value in step.hash_attrs.items():
            kind = type(value)
            if kind is str:
                found[value] = None
            elif kind not in _NO_TEXTS:
                found.update((text, None) for _, text, _ in texts_in(value, key))
        if isinstance(step.fn, Command):
            found.update(dict.fromkeys(words_of_command(step.fn)))
    return [text for text in found if text and len(text) <= _LONGEST and "\0" not in text]


_NO_TEXTS = (int, float, bool, type(None))


def kinds_of(texts: Iterable[str], project: str) -> Mapping[str, str]:
    """Return those of some texts that name something in the project, with what it is.

    The project's folder is listed once, and nearly all texts are the first part of nothing in it.
    """
    top: frozenset[str] | None = None
    found = {}
    for text in texts:
        inside = text
        if text.startswith("/"):
            if not text.startswith(f"{project}/"):
                continue
            inside = text[len(project) + 1 :]
        if top is None:
            top = _names_in(project)
        first = inside.removeprefix("./").partition("/")[0]
        if first in top or first in ("", ".", ".."):
            path = os.path.normpath(os.path.join(project, inside))
            if os.path.isdir(path):
                found[text] = "folder"
            elif os.path.exists(path):
                found[text] = "file" if os.path.isfile(path) else "other"
    return found


def _names_in(folder: str) -> frozenset[str]:
    try:
        return frozenset(os.listdir(folder))
    except OSError:
        return frozenset()
