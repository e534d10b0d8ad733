"""The log of an attempt: a file that takes what the step prints, and does not grow for ever."""

from __future__ import annotations

import os
import time
from contextlib import suppress
from typing import TYPE_CHECKING

from marin_build.run_step.log_lines import LogLines, stamp

if TYPE_CHECKING:
    from collections.abc import Callable

    from marin_build.redaction import Redactor

LIMIT = 64 << 20
"""Bytes of the longest log, unless the configuration says otherwise."""


class StepLog:
    """Writes what a step prints to its log. What cannot be written is lost: the step goes on.

    Args:
        path: the file; made when there is something to write.
        redactor: knows the secrets.
        limit: bytes it may grow to.
        clock: the Unix time.

    """

    def __init__(
        self,
        path: str,
        redactor: Redactor,
        limit: int = LIMIT,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._file = _CutFile(path, limit)
        self._lines = LogLines(redactor)
        self._clock = clock

    @property
    def due(self) -> float | None:
        """When to call `flush`, as Unix time; None if there is nothing to flush."""
        return self._lines.due

    def write(self, data: bytes) -> None:
        """Take what was printed."""
        self._put(self._lines.feed(data, self._clock()))

    def flush(self) -> None:
        """Write a line that is not ended, if it was waited for long enough."""
        now = self._clock()
        if self._lines.due is not None and self._lines.due <= now:
            self._put(self._lines.flush(now))

    def close(self) -> None:
        """Write what is left."""
        self._put(self._lines.finish(self._clock()))
        self._file.close()

    def _put(self, lines: bytes) -> None:
        if lines:
            with suppress(OSError):  # a full disk must not end a step of a week
                self._file.write(lines)


def add_line(path: str, text: str, now: float) -> None:
    """Add a line to a log that nobody writes to any more.

    Raises:
        OSError: it cannot be written.

    """
    with open(path, "ab") as stream:
        stream.write(stamp(now) + text.encode("utf-8", "replace") + b"\n")


class _CutFile:
    """A file that is appended to; of what is longer than the limit the middle is cut out."""

    def __init__(self, path: str, limit: int) -> None:
        self._path, self._limit = path, limit
        self._descriptor = -1
        self._size = self._head = self._cut = 0

    def write(self, data: bytes) -> None:
        if self._descriptor < 0:
            flags = os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC
            self._descriptor = os.open(self._path, flags, 0o644)
            self._size = os.fstat(self._descriptor).st_size
        while data:
            written = os.write(self._descriptor, data)
            self._size += written
            data = data[written:]
        if self._size > self._limit:
            self._cut_middle()

    def close(self) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def _cut_middle(self) -> None:
        """Leave the first quarter and the last one of what may be there."""
        quarter = self._limit // 4
        tail = os.pread(self._descriptor, quarter, self._size - quarter)
        tail = tail[tail.find(b"\n") + 1 :]
        if not self._head:
            head = os.pread(self._descriptor, quarter, 0)
            self._head = head.rfind(b"\n") + 1
        self._cut += self._size - self._head - len(tail)
        note = f"... {self._cut} bytes were cut out here: the log grew over {self._limit} bytes\n"
        os.ftruncate(self._descriptor, self._head)
        self._size = self._head
        rest = note.encode() + tail
        while rest:
            written = os.write(self._descriptor, rest)
            self._size += written
            rest = rest[written:]
