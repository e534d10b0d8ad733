"""The log of an attempt while it grows: the lines that were added since the last reading."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from marin_build.observe.read_logs import log_name, number_of_log
from marin_build.protocol import layout
from marin_build.protocol.log_format import without_stamps
from marin_build.workspace.own_files import open_own

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator


_BLOCK = 1 << 16
_MOST = 1 << 20
"""Bytes of one reading, so that a step that prints without end leaves time for the others."""
_LONGEST = 1 << 17
"""Bytes of a line that is waited for; our logs have none so long."""


class GrowingLog:
    """Reads lines from where it stopped the last time; the file need not be there.

    It holds no file open: there may be more logs than a process may open files.
    """

    def __init__(self) -> None:
        self._at = 0
        self._begun = b""

    @property
    def read(self) -> int:
        """How many bytes were read so far."""
        return self._at

    def new_lines(self, path: str) -> Iterator[str]:
        """Yield the lines that were added to a local log, as they were printed.

        Raises:
            OSError: it cannot be read.

        """
        with open(open_own(path, os.O_RDONLY), "rb") as stream:
            # A file that became shorter had its middle cut out: go on at its end.
            self._at = min(self._at, os.fstat(stream.fileno()).st_size)
            stream.seek(self._at)
            end = self._at + _MOST
            while self._at < end and (block := stream.read(_BLOCK)):
                self._at += len(block)
                yield from self._lines(block)

    def rest_of(self, log: bytes) -> Iterator[str]:
        """Yield what is left of a log that was read whole, and that grows no more."""
        left = log[self._at :]
        self._at = len(log)
        yield from self._lines(left)
        yield from self.last_line()

    def last_line(self) -> Iterator[str]:
        """Yield the line that has not ended, if there is one."""
        begun, self._begun = self._begun, b""
        if begun:
            yield from _texts(begun)

    def _lines(self, block: bytes) -> Iterator[str]:
        whole, newline, self._begun = (self._begun + block).rpartition(b"\n")
        if newline:
            yield from _texts(whole)
        if len(self._begun) > _LONGEST:
            yield from self.last_line()


def _texts(lines: bytes) -> Iterator[str]:
    for line in without_stamps(lines).split(b"\n"):
        yield line.decode("utf-8", "replace")


def logs_in(folder: str) -> frozenset[int]:
    """Return the numbers of the attempts whose logs lie in a folder of this machine."""
    return frozenset(n for name in _names(folder) if (n := number_of_log(name)) is not None)


def log_of_running(folder: str, known: Collection[int]) -> int | None:
    """Return the number of the newest attempt with a log, if it has not ended; None if it has.

    Args:
        folder: holds the logs of a target, on this machine.
        known: attempts that are other ones.

    """
    names = _names(folder)
    newest = max((n for name in names if (n := number_of_log(name)) is not None), default=None)
    if newest is None or newest in known or layout.attempt_name(newest) in names:
        return None
    return newest


def log_in(folder: str, number: int) -> str:
    """Return the path of the log of an attempt in a folder."""
    return os.path.join(folder, log_name(number))


def _names(folder: str) -> list[str]:
    try:
        return os.listdir(folder)
    except OSError:
        return []
