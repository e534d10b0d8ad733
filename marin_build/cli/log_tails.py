"""The last line that a running step printed, for people; read from the log on this machine."""

from __future__ import annotations

import os
import re

from marin_build.printable import printable
from marin_build.protocol import layout
from marin_build.run_step.log_lines import without_stamps

_TAIL_BYTES = 4096
_LONGEST = 400
"""Characters; no terminal is wider."""
_CLOCK_SLACK = 1.0
"""Seconds by which the time of a file may lie before that of the clock."""
_ESCAPE = re.compile(
    r"\x1b\[[0-?]*[ -/]*[@-~]"  # colours, and what moves the cursor
    r"|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)"  # titles and links
)


def last_line(folder: str, since: float) -> str:
    """Return the last line in the log of the attempt that runs; empty if it printed nothing.

    Nothing in it moves a cursor. What cannot be read is as if it were not there.

    Args:
        folder: holds the logs of a target, on this machine.
        since: when the attempt began, by the clock of files. Logs of earlier ones are passed over.

    """
    try:
        names = os.listdir(folder)
        newest = max((n for name in names if (n := _number(name)) is not None), default=None)
        # The document of an attempt is written when it ends.
        if newest is None or layout.attempt_name(newest) in names:
            return ""
        path = os.path.join(folder, _log_name(newest))
        with open(path, "rb") as stream:
            status = os.fstat(stream.fileno())
            if status.st_mtime < since - _CLOCK_SLACK:
                return ""
            stream.seek(max(0, status.st_size - _TAIL_BYTES))
            return last_shown(without_stamps(stream.read()).decode("utf-8", "replace"))
    except OSError:
        return ""


def last_shown(text: str) -> str:
    """Return the last line of a text that has something to read, harmless for a terminal."""
    for line in reversed(text.split("\n")):
        if shown := _ESCAPE.sub("", line.replace("\t", " ")).strip():
            return printable(shown[:_LONGEST])
    return ""


def _log_name(number: int) -> str:
    return layout.attempt_name(number).removesuffix(".json") + ".log"


def _number(name: str) -> int | None:
    stem, _, kind = name.rpartition(".")
    return layout.attempt_number(f"{stem}.json") if kind == "log" else None
