"""Events on their way from the threads that build steps to the one thread that shows them.

What shows them, a terminal, a program of the user or a notebook, is made for one thread, and may be
slow: no step waits for it. An event that comes alone is delivered at once, many are delivered a few
times a second.
"""

from __future__ import annotations

from collections import deque
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from marin_build.apply.events import Event


_EVERY = 0.05
"""Seconds between two deliveries while events come one after the other."""


class Delivery:
    """Passes events on: those of a block that waits for other threads when the block asks for it.

    Args:
        on_event: gets them, in the thread that has such a block, in the order in which they came.

    """

    def __init__(self, on_event: Callable[[Event], None]) -> None:
        self._on_event = on_event
        self._events: deque[Event] = deque()
        self._wake: Callable[[], None] | None = None
        self._is_awaited = False  # whether `deliver` will be called without being asked for

    def __call__(self, event: Event) -> None:
        """Take an event, in any thread; outside of a block pass it on at once."""
        if self._wake is None:
            self._on_event(event)
            return
        self._events.append(event)
        if not self._is_awaited:
            self._is_awaited = True
            self._wake()

    @contextmanager
    def awaited(self, wake: Callable[[], None]) -> Iterator[None]:
        """Keep events until the block calls `deliver`, or ends.

        Args:
            wake: called, by any thread, when the block is to call it soon.

        """
        self._wake = wake
        try:
            yield
        finally:
            self._wake = None
            self._deliver_all()

    def deliver(self, now: float) -> float | None:
        """Pass on what has come.

        Args:
            now: seconds of the monotonic clock.

        Returns:
            When to call again at the latest; None: when `wake` is called.

        """
        if self._events:
            self._deliver_all()
            return now + _EVERY
        self._is_awaited = False
        if self._events:  # one came meanwhile, and did not wake us
            self._is_awaited = True
            return now
        return None

    def _deliver_all(self) -> None:
        while self._events:
            self._on_event(self._events.popleft())
