"""Tells the person at the terminal which requests were refused, and does not let pages flood it."""

from __future__ import annotations

import time
from contextlib import suppress
from typing import TYPE_CHECKING

from marin_build.text.readable import printable, shortened

if TYPE_CHECKING:
    from collections.abc import Callable


_AGAIN_AFTER = 60.0
"""Seconds for which the same is not said again."""
_MOST = 100
"""Lines that are said within that time."""
_LONGEST = 200


class Refusals:
    """Says each reason once a minute.

    Args:
        on_note: gets a line.
        clock: seconds that only grow.

    """

    def __init__(
        self, on_note: Callable[[str], None], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._on_note, self._clock = on_note, clock
        self._said: dict[str, float] = {}

    def note(self, why: str) -> None:
        """Take note of a request that was refused."""
        now = self._clock()
        text = printable(shortened(why, _LONGEST))
        self._said = {it: at for it, at in self._said.items() if now - at < _AGAIN_AFTER}
        if text in self._said or len(self._said) >= _MOST:
            return
        self._said[text] = now
        with suppress(OSError):  # the terminal was closed; the pages are still open
            self._on_note(text)
