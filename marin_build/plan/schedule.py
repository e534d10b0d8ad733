"""Which target may start when: a state machine with one transition function, pure.

PENDING --what it needs is there--> READY --taken--> RUNNING --+--> SUCCEEDED | REUSED
   |                                  ^                 |      +--> FAILED | STOPPED | INTERRUPTED
   +--what it needs is not--> BLOCKED +---- retried ----+
                                      +---- is due ---- DELAYED (tried again later)
                                      +--- released --- HELD (somebody else builds it)

What runs has a slot and what it needs of the machine; nobody else has any of both.
"""

from __future__ import annotations

import enum
import heapq
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from marin_build.plan.graph_shape import ranks

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from marin_build.plan.capacity import Limits, Needs


class State(enum.Enum):
    """Where a target stands in this run."""

    PENDING = enum.auto()
    READY = enum.auto()
    RUNNING = enum.auto()
    DELAYED = enum.auto()
    HELD = enum.auto()
    SUCCEEDED = enum.auto()
    REUSED = enum.auto()
    FAILED = enum.auto()
    STOPPED = enum.auto()
    INTERRUPTED = enum.auto()
    BLOCKED = enum.auto()


_THERE = frozenset({State.SUCCEEDED, State.REUSED})
_NOT_THERE = frozenset({State.FAILED, State.STOPPED, State.INTERRUPTED, State.BLOCKED})
_LEGAL = {
    State.PENDING: {State.READY, State.BLOCKED},
    State.READY: {State.RUNNING},
    State.RUNNING: {State.READY, State.DELAYED, State.HELD, *_THERE, *_NOT_THERE} - {State.BLOCKED},
    State.DELAYED: {State.READY},
    State.HELD: {State.READY, State.REUSED},
}


class Schedule:
    """The targets to build, and what became of them.

    Ready targets start in the order of the longest chain that waits for them (ranking.py), as far
    as there is what they need (ready.py).
    """

    def __init__(
        self,
        to_build: Sequence[int],
        deps: Sequence[Sequence[int]],
        seconds: Mapping[int, float] | None = None,
        limits: Limits | None = None,
    ) -> None:
        """Make a schedule.

        Args:
            to_build: targets, in topological order.
            deps: for every target of the pipeline, what it needs.
            seconds: how long targets may take, those of which that is known.
            limits: what targets may take of the machine together; None: whatever they like.

        """
        wanted = set(to_build)
        self._needs = {i: [dep for dep in deps[i] if dep in wanted] for i in to_build}
        self._missing = {i: len(above) for i, above in self._needs.items()}
        self._dependents: dict[int, list[int]] = {i: [] for i in to_build}
        for i, above in self._needs.items():
            for dep in above:
                self._dependents[dep].append(i)
        self._ready = Ready(self._ranks(to_build, seconds or {}), limits)
        self.states = dict.fromkeys(to_build, State.PENDING)
        self._counts = dict.fromkeys(State, 0)
        self._counts[State.PENDING] = len(to_build)
        for i in to_build:
            if not self._missing[i]:
                self.move(i, State.READY)

    def _ranks(self, to_build: Sequence[int], seconds: Mapping[int, float]) -> dict[int, float]:
        place = {index: i for i, index in enumerate(to_build)}
        needs = [[place[dep] for dep in self._needs[index]] for index in to_build]
        found = ranks(needs, [seconds.get(index) for index in to_build])
        return dict(zip(to_build, found, strict=True))

    def move(self, index: int, state: State) -> list[tuple[int, int]]:
        """Bring a target into a state, with all that follows from it.

        Returns:
            The targets that are blocked by it, each with the one that blocks it.

        """
        before = self.states[index]
        assert state in _LEGAL[before], f"{before} -> {state}"
        self._counts[before] -= 1
        self._counts[state] += 1
        self.states[index] = state
        if before is State.RUNNING:
            self._ready.give_back(index)
        if state is State.READY:
            self._ready.push(index)
        elif state is State.RUNNING:
            self._ready.take(index)
        elif state in _THERE:
            for dependent in self._dependents[index]:
                self._missing[dependent] -= 1
                if not self._missing[dependent] and self.states[dependent] is State.PENDING:
                    self.move(dependent, State.READY)
        elif state in _NOT_THERE and state is not State.BLOCKED:
            return self._block_below(index)
        return []

    def _block_below(self, index: int) -> list[tuple[int, int]]:
        blocked: list[tuple[int, int]] = []
        pending = [index]
        while pending:
            upstream = pending.pop()
            for dependent in self._dependents[upstream]:
                if self.states[dependent] is State.PENDING:
                    self.move(dependent, State.BLOCKED)
                    blocked.append((dependent, index))
                    pending.append(dependent)
        return blocked

    def take(self) -> int | None:
        """Return the ready target to start next, now RUNNING; None if none can start."""
        index = self._ready.pop() if self._counts[State.READY] else None
        if index is not None:
            self.move(index, State.RUNNING)
        return index

    def was_short(self, index: int) -> bool:
        """Return whether a target was ready, and lacked something that others had."""
        return self._ready.was_short(index)

    def count(self, state: State) -> int:
        """Return how many targets are in a state."""
        return self._counts[state]

    def in_state(self, state: State) -> list[int]:
        """Return the targets in a state."""
        return [index for index, current in self.states.items() if current is state]


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
