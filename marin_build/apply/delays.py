"""The failed targets that are tried again, and when. Pure: told the time."""

from __future__ import annotations

import heapq
from typing import TYPE_CHECKING

from marin_build.retries import Tries

if TYPE_CHECKING:
    from marin_build.fingerprint import Targets
    from marin_build.retries import Cause, Verdict


class Delays:
    """The tries that targets have left, and which of them wait for the next one."""

    def __init__(self, targets: Targets) -> None:
        self._targets = targets
        self._tries: dict[int, Tries] = {}
        self._due: list[tuple[float, int]] = []

    def failed(self, index: int, cause: Cause) -> Verdict:
        """Return what follows from a failure."""
        tries = self._tries.get(index)
        if tries is None:
            tries = self._tries[index] = Tries(self._targets.all[index].step.retries)
        return tries.failed(cause)

    def put(self, index: int, due: float) -> None:
        """Have a target wait for its next try."""
        heapq.heappush(self._due, (due, index))

    def pop(self, now: float) -> list[int]:
        """Return the targets that have waited long enough."""
        found = []
        while self._due and self._due[0][0] <= now:
            found.append(heapq.heappop(self._due)[1])
        return found

    @property
    def next_due(self) -> float | None:
        """When the next one has waited long enough; None if none waits."""
        return self._due[0][0] if self._due else None
