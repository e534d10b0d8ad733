"""The waits between two tries while a store gives no answer: ever longer, until a run ends."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from marin_build.pauses import doubled

if TYPE_CHECKING:
    from collections.abc import Callable


LONGEST = 3600.0
"""Seconds that no wait exceeds."""
_FIRST_PAUSE, _LONGEST_PAUSE = 1.0, 30.0
_HEARING = 0.5
"""Seconds after which a supervisor that waits checks whether the run is to end."""


class CommitRetry:
    """Waits between two tries, in all for so long.

    Args:
        seconds: in all; LONGEST at most.
        asked_to_end: whether the run asks the step to end.
        clock: seconds that only grow.
        sleep: waits for so many seconds.

    """

    def __init__(
        self,
        seconds: float,
        asked_to_end: Callable[[], object],
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.seconds = min(seconds, LONGEST)
        self._asked_to_end, self._clock, self._sleep = asked_to_end, clock, sleep
        self._until = clock() + self.seconds
        self._tries = 0

    def wait(self) -> bool:
        """Wait; return False if the next try is the last one."""
        self._tries += 1
        pause = doubled(self._tries, _FIRST_PAUSE, _LONGEST_PAUSE)
        until = min(self._until, self._clock() + pause)
        while (left := until - self._clock()) > 0 and not self._asked_to_end():
            self._sleep(min(left, _HEARING))
        return self._clock() < self._until and not self._asked_to_end()
