"""What a cluster says of itself when a test of it fails: its queue, its nodes, its logs."""

from __future__ import annotations

import os
import subprocess
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

_QUESTIONS = (
    ("squeue", "--states=all", "--array", "--format=%i %j %T (%r) %N after=%E begins=%S"),
    ("sinfo", "--Node", "--format=%N %T %E"),
)
_ANSWERS_WITHIN = 20.0
_LINES = 40
"""The last lines of each answer and of each log."""


def cluster_report(folder: Path, environment: Mapping[str, str]) -> str:
    """Return what a cluster's programs and logs say now, as sections with titles.

    Args:
        folder: everything that belongs to the cluster.
        environment: what a program needs to use it.

    """
    parts = [_titled(" ".join(words), _answer(words, environment)) for words in _QUESTIONS]
    parts += [file_end(path) for path in sorted((folder / "logs").iterdir())]
    return "\n".join(parts)


def file_end(path: Path) -> str:
    """Return the last lines of a file, below its path."""
    try:
        text = path.read_text(errors="replace")
    except OSError as error:
        text = str(error)
    return _titled(str(path), text)


def _titled(title: str, text: str) -> str:
    return "\n".join([f"--- {title}", *text.splitlines()[-_LINES:]])


def _answer(words: Sequence[str], environment: Mapping[str, str]) -> str:
    """Return all that a program prints; of one that gives no answer, that it gives none."""
    try:
        done = subprocess.run(
            words,
            env=os.environ | environment,
            capture_output=True,
            text=True,
            timeout=_ANSWERS_WITHIN,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        return str(error)
    return done.stdout + done.stderr
