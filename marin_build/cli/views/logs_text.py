"""Attempts at a target, and the log of one, for people."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from marin_build.cli.terminal import echo, log_for_terminal
from marin_build.protocol.log_format import without_stamps
from marin_build.text.readable import printable

if TYPE_CHECKING:
    from collections.abc import Iterable

    from marin_build.operations.runs.logs import AttemptSeen
    from marin_build.operations.runs.newest_attempt import NewestAttempt


def show_attempts(attempts: Iterable[AttemptSeen]) -> None:
    """Print a line for each attempt: how it ended, and how long its log is."""
    for seen in attempts:
        log = "no log" if seen.log_size is None else f"{seen.log_size} B"
        echo(f"{seen.number:>4}  {seen.how}, {log}")


def show_newest(newest: NewestAttempt) -> None:
    """Print on standard error which target is meant where the user named none."""
    why = "the newest failure" if newest.is_failure else "the newest attempt"
    echo(printable(f"==> {newest.target}: {why}, run {newest.run}"), err=True)


def show_attempt(seen: AttemptSeen) -> None:
    """Print on standard error which attempt a log belongs to."""
    more = f" (--list: {seen.others} more)" if seen.others else ""
    echo(f"==> attempt {seen.number}: {seen.how}{more}", err=True)


class LogOutput:
    """A log on standard output, a line at a time; of it a terminal gets what moves no cursor."""

    def __init__(self, *, timestamps: bool) -> None:
        self._stream, self._timestamps = sys.stdout.buffer, timestamps
        self._begun = b""
        self._is_empty = True

    def write(self, data: bytes) -> None:
        """Write the complete lines of `data` at once, and keep an incomplete last one."""
        whole, newline, self._begun = (self._begun + data).rpartition(b"\n")
        self._put(whole + newline)

    def end(self, seen: AttemptSeen, *, follow: bool) -> None:
        """Write an incomplete last line; if the log was empty, say why on standard error."""
        self._put(self._begun)
        if self._is_empty:
            echo(_why_empty(seen, follow=follow), err=True)

    def _put(self, lines: bytes) -> None:
        shown = lines if self._timestamps else without_stamps(lines)
        self._stream.write(log_for_terminal(shown) if sys.stdout.isatty() else shown)
        self._stream.flush()
        self._is_empty = self._is_empty and not lines


def _why_empty(seen: AttemptSeen, *, follow: bool) -> str:
    committed = seen.ended.committed if seen.ended is not None else None
    if committed is not None and committed.record.adopted_from:
        place = printable(committed.record.adopted_from)
        return f"nothing was run: its data was adopted from {place}"
    is_running = seen.lease is not None and not follow
    return "nothing was printed so far; -f waits for it" if is_running else "nothing was printed"
