"""The bytes of the log of one attempt: where they lie, and parts of them, none of which is long."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from marin_build.errors import CorruptStateError, UsageError
from marin_build.observe.read_attempts import local_log, read_attempts
from marin_build.operations.loading.loading import current_host
from marin_build.operations.runs.logs import (
    log_of_rank,
    logs_of_ranks,
    runs_elsewhere,
    seen_attempts,
)
from marin_build.protocol import layout
from marin_build.text.readable import printable
from marin_build.workspace.own_files import open_own

if TYPE_CHECKING:
    from marin_build.operations.loading.place import Place
    from marin_build.operations.runs.logs import AttemptSeen


MOST_OF_A_PART = 256 << 10
"""Bytes of the end of a log that a page begins with, and of each part before it. No line of a log
has more than half of that: longer ones are broken as they are written."""
_MOST_ATTEMPTS = 50


@dataclass(frozen=True, slots=True)
class LogName:
    """Which log: of which attempt at a target, None: the newest; and of which rank of it."""

    output: str
    target: str
    attempt: int | None = None
    rank: int = 0


@dataclass(frozen=True, slots=True)
class LogFacts:
    """What is known of a log.

    Args:
        attempts: the newest ones at the target, the oldest first.
        number: whose log it is; None if there is none yet.
        ranks: how many ranks of that attempt have logs.
        path: where it lies on this machine; None: in the store, or nowhere.
        is_over: whether it grows no more.
        problem: why there is nothing to read, in words; empty if there may be.

    """

    attempts: tuple[AttemptSeen, ...] = ()
    number: int | None = None
    ranks: int = 0
    path: str | None = None
    is_over: bool = False
    problem: str = ""

    @property
    def attempt(self) -> AttemptSeen | None:
        """The attempt whose log it is."""
        return next((each for each in self.attempts if each.number == self.number), None)


def find_log(place: Place, name: LogName) -> LogFacts:
    """Find out where a log lies and whether it grows.

    Raises:
        StoreError: the store cannot be read.

    """
    store, host = place.store, current_host()
    attempts = read_attempts(store, name.output, name.target)
    numbers = attempts.numbers
    if not numbers:
        return LogFacts(problem="nothing was tried yet, as far as is known here")
    number = name.attempt if name.attempt is not None else numbers[-1]
    if number not in numbers:
        return LogFacts(problem=f"there is no attempt {number}", is_over=True)
    shown = sorted({*numbers[-_MOST_ATTEMPTS:], number})
    try:
        seen = seen_attempts(store, host, attempts, shown)
    except CorruptStateError as error:
        return LogFacts(problem=error.what, is_over=True)
    (one,) = (each for each in seen if each.number == number)
    is_over = one.lease is None or one.is_gone
    ranks = len(logs_of_ranks(store, attempts, number))
    try:
        path = local_log(attempts, number, one.ended.run if one.ended is not None else "", host)
        if name.rank:
            path = log_of_rank(store, attempts, number, name.rank)
        elif path is None and number not in attempts.logs:
            if one.lease is not None and not one.is_gone:
                raise runs_elsewhere(attempts, one.lease)
            return LogFacts(seen, number, ranks, None, is_over, "it has no log")
    except UsageError as error:
        return LogFacts(seen, number, ranks, None, is_over, _in_words(error))
    problem = _why_unreadable(path) if path is not None else ""
    return LogFacts(seen, number, ranks, path, is_over, problem)


def _why_unreadable(path: str) -> str:
    """Return why a log of this machine cannot be read; empty if it can, or is still to be begun."""
    try:
        os.close(open_own(path, os.O_RDONLY))
    except FileNotFoundError:
        pass
    except OSError as error:
        return f"its log cannot be read: {printable(str(error.strerror)).lower()}"
    return ""


def _in_words(error: UsageError) -> str:
    facts = "; ".join(f"{label}: {text}" for label, text in error.facts)
    return ". ".join(part for part in (error.what, facts, error.consequence) if part)


@dataclass(frozen=True, slots=True)
class LogPart:
    """Bytes of a log, and the position of the first one; `size`: that of the whole log now."""

    start: int
    data: bytes
    size: int


class LogBytes:
    """Reads parts of a log.

    Args:
        place: the prefix and its store.
        name: which log.

    """

    def __init__(self, place: Place, name: LogName) -> None:
        self._place, self._name = place, name
        self._whole: bytes | None = None

    def end_of(self, facts: LogFacts) -> LogPart:
        """Return the end of a log, from the beginning of a line on."""
        size = self._size(facts)
        start = max(0, size - MOST_OF_A_PART)
        data = self._read(facts, start, MOST_OF_A_PART)
        return _from_line(start, data, size)

    def after(self, facts: LogFacts, position: int) -> LogPart:
        """Return what comes after a position; of much only the end."""
        size = self._size(facts)
        if size < position or size - position > MOST_OF_A_PART:
            return self.end_of(facts)  # its middle was cut out, or it grew faster than we read
        return LogPart(position, self._read(facts, position, MOST_OF_A_PART), size)

    def before(self, facts: LogFacts, position: int) -> LogPart:
        """Return what comes before a position, from the beginning of a line on."""
        size = self._size(facts)
        end = min(position, size)
        start = max(0, end - MOST_OF_A_PART)
        return _from_line(start, self._read(facts, start, end - start), size)

    def _size(self, facts: LogFacts) -> int:
        if facts.path is None:
            return len(self._in_store(facts))
        try:
            with open(open_own(facts.path, os.O_RDONLY), "rb") as stream:
                return os.fstat(stream.fileno()).st_size
        except OSError:
            return 0

    def _read(self, facts: LogFacts, start: int, most: int) -> bytes:
        if facts.path is None:
            return self._in_store(facts)[start : start + most]
        try:
            with open(open_own(facts.path, os.O_RDONLY), "rb") as stream:
                stream.seek(start)
                return stream.read(most)
        except OSError:
            return b""

    def _in_store(self, facts: LogFacts) -> bytes:
        """Return the copy in a bucket, which is written when the attempt has ended; read once."""
        if self._whole is None and facts.number is not None and not facts.problem:
            path = layout.rank_log_path(self._name.output, facts.number, self._name.rank)
            blob = self._place.store.get(path)
            self._whole = blob.data if blob is not None else b""
        return self._whole or b""


def _from_line(start: int, data: bytes, size: int) -> LogPart:
    """Return a part from its first whole line on; of one line that is longer, its end."""
    _, newline, rest = data.partition(b"\n")
    if start and newline and rest:
        start, data = start + len(data) - len(rest), rest
    return LogPart(start, data, size)
