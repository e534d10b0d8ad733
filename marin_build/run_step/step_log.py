"""The log of an attempt: a file that takes what the step prints, and does not grow for ever."""

from __future__ import annotations

import os
import time
from contextlib import suppress
from typing import TYPE_CHECKING

from marin_build.protocol.log_format import stamp
from marin_build.workspace.own_files import open_own

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
        makes_folder: whether its folder is made, too, in the one above.

    """

    def __init__(
        self,
        path: str,
        redactor: Redactor,
        limit: int = LIMIT,
        clock: Callable[[], float] = time.time,
        *,
        makes_folder: bool = False,
    ) -> None:
        self._file = _CutFile(path, limit, makes_folder=makes_folder)
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
        """Write the line that has not ended, if we waited for its end for long enough."""
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
    """Add a line to a log that no process writes to any more.

    Raises:
        OSError: it cannot be written.

    """
    with open(open_own(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND), "ab") as stream:
        stream.write(stamp(now) + text.encode("utf-8", "replace") + b"\n")


class _CutFile:
    """A file to append to; when it grows over its limit, its middle is cut out."""

    def __init__(self, path: str, limit: int, *, makes_folder: bool) -> None:
        self._path, self._limit = path, limit
        self._folder = _folder_of(path)
        self._above = _folder_of(os.path.dirname(path)) if makes_folder else None
        self._descriptor = -1
        self._size = self._head = self._cut = 0

    def write(self, data: bytes) -> None:
        if self._descriptor < 0:
            if self._folder is None and self._above is not None:
                self._make_folder()
            elif _folder_of(self._path) != self._folder:
                raise NotADirectoryError(f"the folder of {self._path} is another one now")
            self._descriptor = open_own(self._path, os.O_RDWR | os.O_CREAT | os.O_APPEND)
            self._size = os.fstat(self._descriptor).st_size
        while data:
            written = os.write(self._descriptor, data)
            self._size += written
            data = data[written:]
        if self._size > self._limit:
            self._cut_middle()

    def _make_folder(self) -> None:
        """Make the folder of the log in that of the output, which is the one it was."""
        if _folder_of(os.path.dirname(self._path)) != self._above:
            raise NotADirectoryError(f"the folder of {self._path} is another one now")
        with suppress(FileExistsError):
            os.mkdir(os.path.dirname(self._path))

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


def _folder_of(path: str) -> tuple[int, int] | None:
    """Return which folder a path lies in; None if it is not there.

    A step can put a link to another output in the place of its own, logs included.
    """
    try:
        found = os.stat(os.path.dirname(path))
    except OSError:
        return None
    return found.st_dev, found.st_ino


LONGEST = 1 << 16
"""Bytes of the longest line; a longer one goes on as a line of its own."""
PATIENCE = 1.0
"""Seconds to wait for the end of a line."""


class LogLines:
    """Makes lines of the pieces in which output comes.

    Args:
        redactor: knows the secrets.

    """

    def __init__(self, redactor: Redactor) -> None:
        self._redactor = redactor
        self._begun = b""  # of a line that has not ended
        self.due: float | None = None
        """When to stop waiting for the end of that line; None if there is none."""

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
