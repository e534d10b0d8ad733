"""Gives up requests that hang when the run is to end: a person who presses Ctrl-C does not wait."""

from __future__ import annotations

import concurrent.futures
import math
import time
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

if TYPE_CHECKING:
    from collections.abc import Callable


A_MOMENT = 1.0
"""Seconds that a request may take when the run is to end."""
_HEARING = 0.1
"""Seconds after which a thread that waits for a request checks whether the run is to end."""


class Hurry:
    """Whether the run is to end, and what requests may take then.

    Args:
        clock: seconds that only grow.

    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._since = math.inf
        self._gave_up = False

    def begin(self) -> None:
        """Begin to hurry. A signal handler may call it."""
        self._since = min(self._since, self._clock())

    @property
    def may_ask(self) -> bool:
        """Whether a request is worth making: once one was given up, the next would be, too."""
        return not self._gave_up

    def wait_for(
        self,
        future: concurrent.futures.Future[Any],
        more: float = 0.0,
        meanwhile: Callable[[], None] = lambda: None,
    ) -> bool:
        """Wait until a request has ended; return False if it is given up.

        Args:
            future: the request.
            more: seconds that it may take besides.
            meanwhile: called several times a second until it has ended.

        """
        asked = self._clock()
        while True:
            concurrent.futures.wait([future], timeout=_HEARING)
            if future.done():
                return True
            meanwhile()
            if self._clock() > max(self._since, asked) + A_MOMENT + more:
                self._gave_up = True
                return False


@runtime_checkable
class Hurrying(Protocol):
    """A store whose requests may hang, and can be given up."""

    def hurry(self) -> None:
        """Wait for no request longer than a moment from now on; safe in a signal handler."""


def hurry(store: object) -> None:
    """Have a store give up what hangs, if it can; safe in a signal handler."""
    if isinstance(store, Hurrying):
        store.hurry()
