"""How a run went: who ran in which slot, and what each start waited for. Pure: told the time.

What is kept is a few numbers a target, in arrays: a run may have 100,000.
"""

from __future__ import annotations

import heapq
from array import array
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence


_NOBODY = -1
_NEVER = -1.0
_SLOWEST = 3


class Placed(NamedTuple):
    """Where a target starts, which one's end let it, and how long it had to wait for its place."""

    slot: int
    after: int | None
    queued: float


@dataclass(frozen=True, slots=True)
class Link:
    """A target, and the seconds it took; of the critical path, until the next one started."""

    index: int
    seconds: float


class Course:
    """The slots of a run, and the times of its targets, in seconds since it began.

    Args:
        size: number of targets of the pipeline.
        slots: how many run at once.

    """

    def __init__(self, size: int, slots: int) -> None:
        self._free = list(range(1, slots + 1))
        self._slots: dict[int, int] = {}  # of what runs
        self._last_in = array("q", [_NOBODY]) * (slots + 1)
        self._full_until = _NEVER  # when a slot became free the last time that none was
        self._last = _NOBODY  # to end
        self._began = array("d", [_NEVER]) * size
        self._ended = array("d", [_NEVER]) * size
        self._after = array("q", [_NOBODY]) * size
        self._slowest: list[tuple[float, int]] = []

    def grow(self, size: int) -> None:
        """Make room for the targets of a pipeline that has grown."""
        if (more := size - len(self._ended)) > 0:
            self._began.extend([_NEVER] * more)
            self._ended.extend([_NEVER] * more)
            self._after.extend([_NOBODY] * more)

    def start(self, index: int, needs: Iterable[int], now: float, *, short: bool = False) -> Placed:
        """Take note that a target starts; it gets the lowest free slot.

        Args:
            index: which target.
            needs: what it depends on.
            now: the time.
            short: it was ready, and others had what it takes of the machine.

        """
        ended = self._ended
        after, ready = (index, ended[index]) if ended[index] >= 0 else (_NOBODY, 0.0)
        for dep in needs:
            if ended[dep] > ready or (ended[dep] == ready and after == _NOBODY):
                after, ready = dep, ended[dep]
        slot, queued = heapq.heappop(self._free), 0.0
        if self._full_until > ready:  # it waited for the step that left this slot
            after, queued = self._last_in[slot], now - ready
        elif short and self._last != _NOBODY and ended[self._last] > ready:
            after, queued = self._last, now - ready  # it waited for the last one to give back
        self._slots[index], self._last_in[slot] = slot, index
        if self._began[index] < 0:  # later tries belong to the first one
            self._began[index], self._after[index] = now, after
        return Placed(slot, None if after == _NOBODY else after, queued)

    def end(self, index: int, now: float) -> None:
        """Take note that it does not run any more, whatever became of it."""
        if not self._free:
            self._full_until = now
        heapq.heappush(self._free, self._slots.pop(index))
        self._ended[index] = now
        self._last = index

    def release(self, index: int, now: float) -> None:
        """Take note that the run no longer waits for another run's lease on it."""
        self._ended[index] = now

    def took(self, index: int, seconds: float) -> None:
        """Take note of how long an attempt took, by its own account."""
        add = heapq.heappush if len(self._slowest) < _SLOWEST else heapq.heappushpop
        add(self._slowest, (seconds, index))

    def slowest(self) -> list[Link]:
        """Return the attempts that took longest, the slowest one first."""
        return [Link(index, seconds) for seconds, index in sorted(self._slowest, reverse=True)]

    def critical_path(self) -> list[Link]:
        """Return the chain of targets that decided when all was over, the first one first."""
        last = max(range(len(self._ended)), key=self._ended.__getitem__, default=_NOBODY)
        if last == _NOBODY or self._ended[last] < 0:
            return []
        chain = chain_to(last, self._after)
        ends = [*(self._began[i] for i in chain[1:]), self._ended[last]]
        return [Link(i, end - self._began[i]) for i, end in zip(chain, ends, strict=True)]


def chain_to(last: int, after: Sequence[int]) -> list[int]:
    """Return what came before `last`, one after the other, itself last; -1 ends the chain."""
    chain = [last]
    while (before := after[chain[-1]]) != _NOBODY:
        chain.append(before)
    chain.reverse()
    return chain
