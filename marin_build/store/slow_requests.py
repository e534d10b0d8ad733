"""Says which requests a store has not answered for a while, to a program that asked to hear of it.

Threads that wait for answers look at the clock here, as often as they check for an interrupt. So
nothing is started for it, and a store that answers at once costs next to nothing.
"""

from __future__ import annotations

import os
import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, NamedTuple

from marin_build.pauses import doubled

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence


_FIRST_AFTER = 2.0
"""Seconds of waiting before anything is said."""
_LONGEST_PAUSE = 60.0
"""Seconds between two reports, at most; each pause is twice as long as the one before."""
_GAP = 0.5
"""Seconds between two requests that still count as one time of waiting: many short ones are slow,
too."""


class SlowRequest(NamedTuple):
    """What is waited for.

    Args:
        verb: `read`, `write`, `list` or `delete`.
        paths: what of, URLs.
        seconds: how long the store has kept the program waiting.

    """

    verb: str
    paths: Sequence[str]
    seconds: float


class SlowRequests:
    """The requests that wait now, of all threads, and when to say something of them.

    Args:
        tell: called with what is waited for; with None when that wait is over. By any thread, but
            not by two at once.
        clock: seconds that only grow.
        longest_pause: seconds between two reports at most; the first comes after two seconds.

    """

    def __init__(
        self,
        tell: Callable[[SlowRequest | None], None],
        clock: Callable[[], float] = time.monotonic,
        longest_pause: float = _LONGEST_PAUSE,
    ) -> None:
        self._tell, self._clock, self._longest_pause = tell, clock, longest_pause
        self._lock = threading.Lock()
        self._waiting: dict[object, tuple[str, Sequence[str]]] = {}
        self._since = self._due = 0.0
        self._ended = -_GAP
        self._reports = 0
        self._is_shown = False

    @contextmanager
    def waiting(self, verb: str, paths: Sequence[str]) -> Iterator[Callable[[], None]]:
        """Count a request while it waits; yields what its thread calls several times a second."""
        key = object()
        with self._lock:
            now = self._clock()
            if not self._waiting and now - self._ended >= _GAP:
                self._since, self._due, self._reports = now, now + _FIRST_AFTER, 0
            self._waiting[key] = verb, paths
        try:
            yield self._look
        finally:
            with self._lock:
                del self._waiting[key]
                self._ended = self._clock()
                if self._is_shown and not self._waiting:
                    self._is_shown = False
                    self._tell(None)

    def _look(self) -> None:
        with self._lock:
            now = self._clock()
            if now < self._due or not self._waiting:
                return
            self._reports += 1
            self._due = now + doubled(self._reports, _FIRST_AFTER, self._longest_pause)
            verb, paths = max(self._waiting.values(), key=lambda it: len(it[1]))
            self._is_shown = True
            self._tell(SlowRequest(verb, paths, now - self._since))


_heard_by: SlowRequests | None = None
_silent = threading.local()


def _forget() -> None:
    global _heard_by  # noqa: PLW0603 - a forked process has another terminal, and no such threads
    _heard_by = None


os.register_at_fork(after_in_child=_forget)


@contextmanager
def reporting(to: SlowRequests) -> Iterator[None]:
    """Report the slow requests of this process; of one program at a time."""
    global _heard_by  # noqa: PLW0603 - a process has one user
    before, _heard_by = _heard_by, to
    try:
        yield
    finally:
        _heard_by = before


def keep_silent() -> None:
    """Report no request of this thread: it tells of its progress by itself."""
    _silent.is_silent = True


@contextmanager
def silent() -> Iterator[None]:
    """Report no request of this thread for a while."""
    before = getattr(_silent, "is_silent", False)
    _silent.is_silent = True
    try:
        yield
    finally:
        _silent.is_silent = before


@contextmanager
def waiting(verb: str, paths: Sequence[str]) -> Iterator[Callable[[], None]]:
    """Count a request while it waits; yields what its thread calls several times a second."""
    heard_by = None if getattr(_silent, "is_silent", False) else _heard_by
    if heard_by is None:
        yield _nothing
        return
    with heard_by.waiting(verb, paths) as look:
        yield look


def _nothing() -> None:
    pass
