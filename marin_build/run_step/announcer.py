"""Announces targets whose steps take longer than a second, from a thread of its own.

So others see who builds them: `status`, an older version, Marin. The thread looks from time to
time, and no step wakes it: most are over before it would see them.
"""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

from marin_build.errors import MarinBuildError, StoreError

if TYPE_CHECKING:
    from collections.abc import Callable

    from marin_build.protocol.quick_holding import QuickHolding


ANNOUNCE_AFTER = 1 / 60
"""Part of its time to live after which a lease is announced: a second, as a rule."""
_LOOKS = 4
"""How often it looks within the time after which a target is announced."""


class Announcer:
    """Knows which targets the kernel's lock alone keeps.

    Args:
        after: seconds after which a target is announced.
        clock: seconds that only grow.

    """

    def __init__(self, after: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._after, self._clock = after, clock
        self._watched: dict[int, tuple[float, QuickHolding, Callable[[], object]]] = {}
        self._over = threading.Event()
        self._thread: threading.Thread | None = None
        self._guard = threading.Lock()

    def watch(self, holding: QuickHolding, on_lost: Callable[[], object]) -> None:
        """Announce a target if it is not over in time.

        Args:
            holding: the target.
            on_lost: called, by the thread, if another has it: what runs there is to be ended.

        """
        self._watched[id(holding)] = self._clock(), holding, on_lost
        if self._thread is None:
            with self._guard:
                if self._thread is None:
                    self._thread = threading.Thread(
                        target=self._work, daemon=True, name="announces targets"
                    )
                    self._thread.start()

    def forget(self, holding: object) -> None:
        """Take note that a target is over."""
        self._watched.pop(id(holding), None)

    def announce_due(self) -> None:
        """Announce what has taken long enough; what cannot be written is tried the next time."""
        now = self._clock()
        for key, (since, holding, on_lost) in list(self._watched.items()):
            if now - since < self._after:
                return  # the others began later
            try:
                is_ours = holding.announce()
            except (StoreError, OSError):
                continue
            except MarinBuildError:
                is_ours = False
            if self._watched.pop(key, None) is not None and not is_ours:
                on_lost()

    def close(self) -> None:
        """End the thread."""
        self._over.set()
        if self._thread is not None:
            self._thread.join()

    def _work(self) -> None:
        while not self._over.wait(self._after / _LOOKS):
            self.announce_due()
