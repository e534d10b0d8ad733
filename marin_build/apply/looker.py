"""Looks at targets that other runs hold, in a thread: a store that hangs holds nothing else up."""

from __future__ import annotations

import math
import queue
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from marin_build.errors import StoreAwayError, StoreError
from marin_build.pauses import doubled
from marin_build.protocol.look import Seen, look

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from marin_build.store.base import Store


LOOK_AGAIN_AFTER = 0.5
"""Seconds between two looks at a target that another run builds."""
_LONGEST_PAUSE = 10.0
"""Seconds between two looks while the store gives no answer."""
_TOO_LONG = 5.0
"""Seconds of a look after which it counts as if the store had given no answer meanwhile."""


@dataclass(frozen=True, slots=True)
class View:
    """What became of one look.

    Args:
        index: which target.
        seen: what it showed; None if it showed nothing.
        at: when it was asked for, in seconds of the monotonic clock.
        is_lost: whether the store gave no answer, or only after a long time: others could not
            reach it either. If there is nothing seen all the same, what is there is not readable.

    """

    index: int
    seen: Seen | None
    at: float
    is_lost: bool


class Looker:
    """Looks when it is asked to, at one list of targets at a time.

    Args:
        store: where they are.
        wake: called, by another thread, when there is something to see.

    """

    def __init__(self, store: Store, wake: Callable[[], None]) -> None:
        self._store, self._wake = store, wake
        self._asked: queue.SimpleQueue[tuple[Mapping[int, str], float]] = queue.SimpleQueue()
        self._views: queue.SimpleQueue[View] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None
        self._is_looking = False
        self._failures = 0
        self._due = 0.0

    @property
    def next_look(self) -> float:
        """When to ask again, in seconds of the monotonic clock."""
        return math.inf if self._is_looking else self._due

    def ask(self, outputs: Mapping[int, str], now: float) -> None:
        """Begin to look; not while it looks.

        Args:
            outputs: the output paths, by index.
            now: seconds of the monotonic clock.

        """
        self._is_looking = True
        self._due = now + LOOK_AGAIN_AFTER
        self._begin(outputs, now)

    def _begin(self, outputs: Mapping[int, str], now: float) -> None:
        if self._thread is None:
            self._thread = threading.Thread(target=self._work, daemon=True, name="looks at leases")
            self._thread.start()
        self._asked.put((outputs, now))

    def put_off(self, now: float) -> None:
        """Look no sooner than after the usual pause: what is there is known."""
        self._due = max(self._due, now + LOOK_AGAIN_AFTER)

    def look_within(self, now: float, seconds: float) -> None:
        """Look again soon: who holds a target is about to end, or to say so."""
        self._due = min(max(self._due, now), now + seconds)

    def views(self) -> Iterator[View]:
        """Yield what was seen since the last call."""
        while True:
            try:
                yield self._views.get_nowait()
            except queue.Empty:
                return

    def _work(self) -> None:
        while True:
            self._look_at(*self._asked.get())

    def _look_at(self, outputs: Mapping[int, str], now: float) -> None:
        is_away = False
        for index, output in outputs.items():
            began = time.monotonic()
            try:
                seen, is_away = look(self._store, output), False
            except StoreAwayError:
                seen, is_away = None, True
            except (StoreError, OSError):
                seen = None
            is_lost = is_away or time.monotonic() - began > _TOO_LONG
            self._views.put(View(index, seen, now, is_lost))
            if is_away:
                break  # the others would get no answer either
        self._failures = self._failures + 1 if is_away else 0
        if is_away:
            pause = doubled(self._failures, LOOK_AGAIN_AFTER, _LONGEST_PAUSE)
            self._due = time.monotonic() + pause
        self._is_looking = False
        self._wake()
