"""The lines of an attempt's log: what a step prints, with times and without secrets. Pure.

    2026-11-22T09:10:11.123Z loss 2.31

What a line overwrote on a terminal (a progress bar, by carriage returns) is left out. A line that
is not ended within a second is shown as far as it came, and goes on as a line of its own.
"""

from __future__ import annotations

import re
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from marin_build.redaction import Redactor

LONGEST = 1 << 16
"""Bytes of the longest line; a longer one goes on as a line of its own."""
PATIENCE = 1.0
"""Seconds to wait for the end of a line."""
_STAMP = re.compile(rb"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z ?", re.MULTILINE)
STAMP_SIZE = len("2026-11-22T09:10:11.123Z ")


def stamp(now: float) -> bytes:
    """Return what a line begins with that came at a Unix time: the moment in UTC, and a space."""
    whole, millis = divmod(round(now * 1000), 1000)
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(whole)).encode() + b".%03dZ " % millis


def without_stamps(data: bytes) -> bytes:
    """Return the lines of a log as they were printed."""
    return _STAMP.sub(b"", data)


class LogLines:
    """Makes lines of the pieces in which output comes.

    Args:
        redactor: knows the secrets.

    """

    def __init__(self, redactor: Redactor) -> None:
        self._redactor = redactor
        self._begun = b""  # of a line that has not ended
        self.due: float | None = None
        """When that line has been waited for long enough; None if there is none."""

    def feed(self, data: bytes, now: float) -> bytes:
        """Take what was printed at a Unix time; return the lines it completed."""
        whole, newline, rest = (self._begun + data).rpartition(b"\n")
        lines = self._lines(whole, now) if newline else b""
        if b"\r" in rest:
            rest = _last_written(rest)
        if len(rest) > LONGEST:
            end = len(rest) - self._redactor.begun(rest)
            lines, rest = lines + self._lines(rest[:end], now), rest[end:]
        if not rest:
            self.due = None
        elif self.due is None or newline:
            self.due = now + PATIENCE
        self._begun = rest
        return lines

    def flush(self, now: float) -> bytes:
        """Return the line that has not ended, as far as it came."""
        end = len(self._begun) - self._redactor.begun(self._begun)
        shown, self._begun = self._begun[:end], self._begun[end:]
        self.due = None
        return self._lines(shown, now) if shown else b""

    def finish(self, now: float) -> bytes:
        """Return what is left: nothing more will be printed."""
        shown, self._begun, self.due = self._begun, b"", None
        return self._lines(shown, now) if shown else b""

    def _lines(self, text: bytes, now: float) -> bytes:
        """Return text as lines, the last one ended, too."""
        if b"\r" in text:
            text = b"\n".join(_last_written(line.removesuffix(b"\r")) for line in text.split(b"\n"))
        head = stamp(now)
        return head + self._redactor.clean(text).replace(b"\n", b"\n" + head) + b"\n"


def _last_written(line: bytes) -> bytes:
    """Return what a terminal shows of a line with carriage returns, or nearly."""
    ended = line.rstrip(b"\r")
    return ended.rpartition(b"\r")[2] + line[len(ended) :][:1]
