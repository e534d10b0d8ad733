"""When steps that run for too long are asked to end, and when they are killed. Pure."""

from __future__ import annotations

import math

GRACE = 10.0
"""Seconds that a step which was asked to end has to do so by itself."""


class Deadlines:
    """The deadlines of running targets, in seconds of one monotonic clock."""

    def __init__(self) -> None:
        self._due: dict[int, float] = {}
        self._asked: set[int] = set()  # to end, for their time is over

    @property
    def next_due(self) -> float:
        """When the next one is over; infinite if there is none."""
        return min(self._due.values()) if self._due else math.inf

    def set(self, index: int, due: float) -> None:
        """Have a target that starts end by then."""
        self._due[index] = due

    def drop(self, index: int) -> None:
        """Take note that a target does not run any more."""
        if self._due:
            self._due.pop(index, None)
        self._asked.discard(index)

    def pop(self, now: float) -> list[tuple[int, bool]]:
        """Return the targets whose time is over, each with whether it is to be killed.

        One that is asked to end is to be killed when the grace period is over, too.
        """
        found = [(index, index in self._asked) for index, due in self._due.items() if now >= due]
        for index, kill in found:
            del self._due[index]
            if not kill:
                self._asked.add(index)
                self._due[index] = now + GRACE
        return found
