"""Calls the programs of an engine's queue: a call without an answer says nothing of a job."""

from __future__ import annotations

import signal
import subprocess
from typing import TYPE_CHECKING

from marin_build.engines.jobs import QueueAwayError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_ENDED_BY_SIGNAL = {128 + signal.SIGINT, 128 + signal.SIGTERM}


def answer_of(
    words: Sequence[str],
    *,
    patience: float,
    text: str = "",
    folder: str | None = None,
    environ: Mapping[str, str] | None = None,
    hears_terminal: bool = False,
) -> subprocess.CompletedProcess[str]:
    """Run a program; return what it printed, and its exit code.

    Args:
        words: the command line.
        patience: seconds that it may take.
        text: its standard input.
        folder: where it runs; None: here.
        environ: its environment; None: that of this process.
        hears_terminal: whether Ctrl-C in the terminal ends it; else it carries out what it began.

    Raises:
        QueueAwayError: it cannot be run, was ended, or takes too long; it may have done its work.

    """
    try:
        done = subprocess.run(
            words,
            input=text,
            capture_output=True,
            encoding="utf-8",
            errors="replace",  # names of other users' jobs, and what a container prints, are bytes
            timeout=patience,
            check=False,
            cwd=folder,
            env=environ,
            start_new_session=not hears_terminal,
        )
    except subprocess.TimeoutExpired:
        raise QueueAwayError(f"`{words[0]}` gave no answer in {patience:g} s") from None
    except OSError as error:
        why = str(error.strerror).lower()
        raise QueueAwayError(f"cannot run `{words[0]}`: {why}") from error
    if done.returncode < 0 or done.returncode in _ENDED_BY_SIGNAL:
        raise QueueAwayError(f"`{words[0]}` was ended before it gave an answer")
    return done
