"""How long a run will still take, judged by how long earlier builds took. Pure."""

from __future__ import annotations

import heapq
from typing import TYPE_CHECKING

from marin_build.plan.graph_shape import ranks

if TYPE_CHECKING:
    from collections.abc import Sequence


class Eta:
    """The work that is left of a run.

    What is left takes at least as long as its longest chain, and at least as long as all of it
    takes in the slots there are: the larger of the two counts, less what has passed of the steps
    that run. A step of unknown duration counts like the median of the others, as it does for the
    order in which steps start.

    All instants are seconds of one clock. A step is its position in the given sequences.

    Args:
        needs: what each step needs, as positions; all lower than its own.
        seconds: how long each may take; None if that is not known.

    """

    def __init__(self, needs: Sequence[Sequence[int]], seconds: Sequence[float | None]) -> None:
        known = sorted(value for value in seconds if value is not None)
        self._is_known = bool(known)
        typical = known[len(known) // 2] if known else 0.0
        self._seconds = [typical if value is None else value for value in seconds]
        self._chains = ranks(needs, self._seconds)
        self._running: dict[int, float] = {}
        self._waiting = set(range(len(self._seconds)))
        self._waiting_seconds = sum(self._seconds)
        # Steps that are no longer waiting are left in it until they come to the top.
        self._longest = [(-chain, i) for i, chain in enumerate(self._chains)]
        heapq.heapify(self._longest)

    def start(self, step: int, at: float) -> None:
        """Take note that a step began to run."""
        self._leave(step)
        self._running[step] = at

    def put_back(self, step: int) -> None:
        """Take note that a step has to be started once more, now or later."""
        self._leave(step)
        self._waiting.add(step)
        self._waiting_seconds += self._seconds[step]
        heapq.heappush(self._longest, (-self._chains[step], step))

    def end(self, step: int) -> None:
        """Take note that nothing more is done about a step: it is built, or will not be."""
        self._leave(step)

    def remaining(self, now: float, slots: int, *, only_running: bool = False) -> float | None:
        """Return the seconds that are left; None if no duration is known.

        Args:
            now: the present instant.
            slots: how many steps run at once.
            only_running: nothing more will be started.

        """
        if not self._is_known:
            return None
        left = {i: max(0.0, at + self._seconds[i] - now) for i, at in self._running.items()}
        if only_running:
            return max(left.values(), default=0.0)
        while self._longest and self._longest[0][1] not in self._waiting:
            heapq.heappop(self._longest)
        chains = [seconds + self._chains[i] - self._seconds[i] for i, seconds in left.items()]
        if self._longest:
            chains.append(-self._longest[0][0])
        # A sum of many that come and go may end a little beside 0.
        work = max(0.0, self._waiting_seconds) if self._waiting else 0.0
        return max(max(chains, default=0.0), (work + sum(left.values())) / slots)

    def _leave(self, step: int) -> None:
        """Take a step from where it is."""
        if step in self._waiting:
            self._waiting.remove(step)
            self._waiting_seconds -= self._seconds[step]
        self._running.pop(step, None)
