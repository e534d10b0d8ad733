"""What a cluster says of itself when a test of it fails: its queue, its nodes, its logs."""

from __future__ import annotations

import os
import subprocess
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

_QUESTIONS = (
    ("sinfo", "--Node", "--format=%N %T %E"),
    ("squeue", "--states=all", "--array", "--format=%i %j %T (%r) %N after=%E begins=%S"),
)
_ANSWERS_WITHIN = 20.0
_LINES = 25
"""The last lines of each answer and of each log."""
_FEW_LINES = 3


def cluster_report(folder: Path, environment: Mapping[str, str]) -> str:
    """Return what a cluster's logs and programs say now; the queue comes last, where people look.

    Args:
        folder: everything that belongs to the cluster.
        environment: what a program needs to use it.

    """
    # A daemon prints what it logs, too, with less; and alone why it did not start.
    parts = [file_end(path, _FEW_LINES) for path in sorted((folder / "logs").glob("*.out"))]
    parts += [file_end(path) for path in sorted((folder / "logs").glob("*.log"), reverse=True)]
    parts += [_titled(" ".join(words), _answer(words, environment)) for words in _QUESTIONS]
    return "\n".join(parts)


def file_end(path: Path, lines: int = _LINES) -> str:
    """Return the last lines of a file, below its path."""
    try:
        text = path.read_text(errors="replace")
    except OSError as error:
        text = str(error)
    return _titled(str(path), text, lines)


def _titled(title: str, text: str, lines: int = _LINES) -> str:
    return "\n".join([f"--- {title}", *text.splitlines()[-lines:]])


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
