"""How a run went: which target ran in which slot, and what each start waited for. Pure.

It keeps a few numbers for each target, in arrays: a run may have 100,000 targets.
"""

from __future__ import annotations

import heapq
from array import array
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence


_NO_TARGET = -1
_NEVER = -1.0
_SLOWEST = 3


class Placed(NamedTuple):
    """The slot of a target that starts, the target it waited for, and its seconds in the queue."""

    slot: int
    after: int | None
    queued: float


@dataclass(frozen=True, slots=True)
class Link:
    """A target, and the seconds it took; of the critical path, until the next one started."""

    index: int
    seconds: float


class Timeline:
    """The slots of a run, and the times of its targets, in seconds since it began.

    Args:
        size: number of targets of the pipeline.
        slots: how many run at once.

    """

    def __init__(self, size: int, slots: int) -> None:
        self._free = list(range(1, slots + 1))
        self._slots: dict[int, int] = {}  # of running targets
        self._last_in = array("q", [_NO_TARGET]) * (slots + 1)
        self._full_until = _NEVER  # when a slot last became free after none was
        self._last = _NO_TARGET  # the target that ended last
        self._began = array("d", [_NEVER]) * size
        self._ended = array("d", [_NEVER]) * size
        self._after = array("q", [_NO_TARGET]) * size
        self._slowest: list[tuple[float, int]] = []

    def grow(self, size: int) -> None:
        """Make room for the targets of a pipeline that has grown."""
        if (more := size - len(self._ended)) > 0:
            self._began.extend([_NEVER] * more)
            self._ended.extend([_NEVER] * more)
            self._after.extend([_NO_TARGET] * more)

    def start(self, index: int, needs: Iterable[int], now: float, *, short: bool = False) -> Placed:
        """Take note that a target starts; it gets the lowest free slot.

        Args:
            index: which target.
            needs: what it depends on.
            now: the time.
            short: it was ready, but others had what it takes of the machine.

        """
        ended = self._ended
        after, ready = (index, ended[index]) if ended[index] >= 0 else (_NO_TARGET, 0.0)
        for dep in needs:
            if ended[dep] > ready or (ended[dep] == ready and after == _NO_TARGET):
                after, ready = dep, ended[dep]
        slot, queued = heapq.heappop(self._free), 0.0
        if self._full_until > ready:  # it waited for the step that left this slot
            after, queued = self._last_in[slot], now - ready
        elif short and self._last != _NO_TARGET and ended[self._last] > ready:
            after, queued = self._last, now - ready  # it waited until that one freed what it takes
        self._slots[index], self._last_in[slot] = slot, index
        if self._began[index] < 0:  # later tries belong to the first one
            self._began[index], self._after[index] = now, after
        return Placed(slot, None if after == _NO_TARGET else after, queued)

    def end(self, index: int, now: float) -> None:
        """Take note that a target does not run any more, whether or not it was built."""
        if not self._free:
            self._full_until = now
        heapq.heappush(self._free, self._slots.pop(index))
        self._ended[index] = now
        self._last = index

    def release(self, index: int, now: float) -> None:
        """Take note that a target may start again: its pause, or another run's lease, is over."""
        self._ended[index] = now

    def took(self, index: int, seconds: float) -> None:
        """Take note of how long an attempt took, as its worker measured it."""
        add = heapq.heappush if len(self._slowest) < _SLOWEST else heapq.heappushpop
        add(self._slowest, (seconds, index))

    def slowest(self) -> list[Link]:
        """Return the attempts that took longest, the slowest one first."""
        return [Link(index, seconds) for seconds, index in sorted(self._slowest, reverse=True)]

    def critical_path(self) -> list[Link]:
        """Return the chain of targets that decided when the run ended, the first one first."""
        last = max(range(len(self._ended)), key=self._ended.__getitem__, default=_NO_TARGET)
        if last == _NO_TARGET or self._ended[last] < 0:
            return []
        chain = chain_to(last, self._after)
        ends = [*(self._began[i] for i in chain[1:]), self._ended[last]]
        return [Link(i, end - self._began[i]) for i, end in zip(chain, ends, strict=True)]


def chain_to(last: int, after: Sequence[int]) -> list[int]:
    """Return what came before `last`, one after the other, itself last; -1 ends the chain."""
    chain = [last]
    while (before := after[chain[-1]]) != _NO_TARGET:
        chain.append(before)
    chain.reverse()
    return chain
