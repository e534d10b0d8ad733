"""The targets that are ready, and what they may take together. Pure.

`apply` starts them in this order, and `estimate` foresees it: so it is decided here for both.

The one of the highest rank starts first. If it lacks something, that is kept for it: what comes
after it and needs the same waits, too, and the others go on. So nobody is overtaken for ever by
many small ones. Targets with equal needs share a heap: taking one costs a look at each kind of
needs, however many targets there are.
"""

from __future__ import annotations

import heapq
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from marin_build.capacity import Limits
    from marin_build.needs import Needs


@dataclass(slots=True)
class _Group:
    """Ready targets with the same needs."""

    needs: Needs
    heap: list[tuple[float, int]] = field(default_factory=list)
    kept: set[str] = field(default_factory=set)
    """What its first target once lacked: kept for it until it starts, so that it gets them all."""


class Ready:
    """The ready targets, and what is free.

    Args:
        ranks: by target: the higher, the sooner; of equal ones the lower index.
        limits: what targets may take together; one that needs nothing of it starts at once.

    """

    def __init__(self, ranks: Mapping[int, float], limits: Limits | None = None) -> None:
        self._ranks = ranks
        self._needs = limits.needs if limits is not None else {}
        self._free = dict(limits.amounts) if limits is not None else {}
        self._groups: dict[Needs, _Group] = {}
        self._short: set[int] = set()

    def push(self, index: int) -> None:
        """Take in a target that is ready."""
        needs = self._needs.get(index, ())
        group = self._groups.get(needs)
        if group is None:
            group = self._groups[needs] = _Group(needs)
        heapq.heappush(group.heap, (-self._ranks[index], index))

    def pop(self) -> int | None:
        """Return the target to start next; None if none is ready for which there is enough."""
        kept: set[str] = set()
        waiting = [group for group in self._groups.values() if group.heap]
        if len(waiting) > 1:
            waiting.sort(key=lambda group: group.heap[0])
        for group in waiting:
            lacking = {name for name, amount in group.needs if amount > self._free[name]}
            group.kept |= lacking
            if not lacking and kept.isdisjoint(name for name, _ in group.needs):
                index = heapq.heappop(group.heap)[1]
                group.kept.clear()
                if not group.heap:
                    del self._groups[group.needs]
                return index
            self._short.add(group.heap[0][1])
            kept |= group.kept
        return None

    def was_short(self, index: int) -> bool:
        """Return whether it was ready, and had to wait until others gave something back."""
        return index in self._short

    def take(self, index: int) -> None:
        """Take what a target needs, because it starts."""
        for name, amount in self._needs.get(index, ()):
            self._free[name] -= amount

    def give_back(self, index: int) -> None:
        """Give back what a target took, because it does not run any more."""
        for name, amount in self._needs.get(index, ()):
            self._free[name] += amount
