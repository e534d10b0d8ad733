"""A queue or a store that gives no answer: since when, and when to ask again."""

from __future__ import annotations

import time

from marin_build.pauses import doubled

_LONGEST_PAUSE = 20.0
"""Seconds between two tries to reach who gives no answer."""


class Silence:
    """Who gives no answer now, if anybody does.

    Attributes:
        who: the last one that gave none; empty if there was none.
        ask_at: the instant of the monotonic clock before which nobody is asked again.

    """

    def __init__(self) -> None:
        self.who = ""
        self.ask_at = 0.0
        self._since: float | None = None
        self._tries = 0

    def __bool__(self) -> bool:
        return self._since is not None

    def goes_on(self, who: str, *, is_urgent: bool) -> bool:
        """Take note that a try got no answer; return whether it was the first one.

        Args:
            who: gave none.
            is_urgent: a person waits for the run's end, so that it asks again soon.

        """
        self._tries += 1
        longest = 1.0 if is_urgent else _LONGEST_PAUSE
        self.ask_at = time.monotonic() + doubled(self._tries, 1.0, longest)
        if self._since is not None:
            return False
        self._since, self.who = time.monotonic(), who
        return True

    def is_over(self) -> float | None:
        """Take note of an answer; return for how many seconds there was none, or None."""
        if self._since is None:
            return None
        seconds = time.monotonic() - self._since
        self._since, self._tries = None, 0
        return seconds
