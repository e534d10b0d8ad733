"""A pipeline to start from, written into a folder."""

from __future__ import annotations

import os
from dataclasses import dataclass

from marin_build.workspace.places import refuse_url
from marin_build.workspace.whole_files import write_whole

_PIPELINE = '''"""Two steps to start from: `marin-build plan`, then `marin-build apply`."""

from collections import Counter

from marin_build import StepSpec, step


@step
def words(output: str, text: str = "to build or not to build") -> list[str]:
    """Return the words of a text: what a step returns is kept in its output."""
    return text.split()


@step
def counts(output: str, words: list[str]) -> dict[str, int]:
    """Return how often each word is there."""
    return dict(Counter(words))


def pipeline(text: str = "to build or not to build") -> list[StepSpec]:
    """Return what is requested; parameters are given with --set text=..."""
    return [counts(words=words(text=text))]
'''


@dataclass(frozen=True, slots=True)
class FirstFiles:
    """What `init` did in a folder: the files it wrote, and those that are there and stay."""

    written: tuple[str, ...]
    kept: tuple[str, ...]


def write_first_pipeline(folder: str = ".") -> FirstFiles:
    """Write a pipeline to start from, and have git ignore its outputs.

    A pipeline that is there stays as it is.

    Args:
        folder: where the files go; it is created if it does not exist.

    Raises:
        OSError: the folder cannot be written.

    """
    refuse_url(folder, "a pipeline", "marin-build init FOLDER")
    file = os.path.join(folder, "pipeline.py")
    written, kept = [], []
    os.makedirs(folder, exist_ok=True)
    if os.path.lexists(file):
        kept.append(file)
    else:
        write_whole(file, _PIPELINE)
        written.append(file)
    ignore = os.path.join(folder, ".gitignore")
    lines = ""
    if os.path.exists(ignore):
        with open(ignore, encoding="utf-8") as stream:
            lines = stream.read()
    if ".marin-build/" not in lines.splitlines():
        end = "" if not lines or lines.endswith("\n") else "\n"
        write_whole(ignore, f"{lines}{end}.marin-build/\n")
        written.append(ignore)
    return FirstFiles(tuple(written), tuple(kept))
