"""Which target may start when: a state machine with one transition function, pure.

PENDING --dependencies are built--> READY --taken--> RUNNING --+--> Succeeded | Reused
   |                                  ^                 |      +--> Failed | Stopped | Interrupted
   +--a dependency is not--> Blocked  +---- retried ----+
                                      +---- is due ---- DELAYED (tried again later)
                                      +--- released --- Held (another run builds it)

A RUNNING target holds a slot and the amounts of the machine that it needs; no other target does.
"""

from __future__ import annotations

import enum
import heapq
from dataclasses import field
from typing import TYPE_CHECKING

from marin_build.plan.graph_shape import ranks
from marin_build.plan.outcomes import (
    Blocked,
    Failed,
    Held,
    Interrupted,
    Reused,
    Stopped,
    Succeeded,
)
from marin_build.quick_dataclass import dataclass

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from marin_build.plan.capacity import Limits, Needs
    from marin_build.plan.outcomes import Outcome


class Open(enum.Enum):
    """The state of a target that has not ended in this run."""

    PENDING = enum.auto()
    READY = enum.auto()
    RUNNING = enum.auto()
    DELAYED = enum.auto()

    # The same for a member as that of its name, which an enum computes anew each time.
    __hash__ = object.__hash__


State = Open | type[Succeeded | Reused | Failed | Held | Stopped | Interrupted | Blocked]
"""The state of a target: open, or the kind of outcome with which it ended."""

STATES: tuple[State, ...] = (
    *Open, Held, Succeeded, Reused, Failed, Stopped, Interrupted, Blocked
)  # fmt: skip
_THERE: frozenset[State] = frozenset({Succeeded, Reused})
_NOT_THERE: frozenset[State] = frozenset({Failed, Stopped, Interrupted})
_LEGAL: dict[State, frozenset[State]] = {
    Open.PENDING: frozenset({Open.READY, Blocked}),
    Open.READY: frozenset({Open.RUNNING}),
    Open.RUNNING: frozenset({Open.READY, Open.DELAYED, Held, *_THERE, *_NOT_THERE}),
    Open.DELAYED: frozenset({Open.READY}),
    Held: frozenset({Open.READY, Reused}),
}


class Schedule:
    """The targets to build, and the state of each.

    Of the ready targets for which the machine has enough left, the one with the longest chain of
    dependents starts first. Targets that are added later start after those, in the order in which
    they were added.
    """

    def __init__(
        self,
        to_build: Sequence[int] = (),
        deps: Sequence[Sequence[int]] = (),
        seconds: Mapping[int, float] | None = None,
        limits: Limits | None = None,
    ) -> None:
        """Make a schedule.

        Args:
            to_build: targets, in topological order.
            deps: the dependencies of every target of the pipeline, by index.
            seconds: how long targets may take, by index, where that is known.
            limits: the amounts that targets may take together; None: nothing limits them.

        """
        wanted = set(to_build)
        needs = {i: tuple([dep for dep in deps[i] if dep in wanted]) for i in to_build}
        self._needs: dict[int, tuple[int, ...]] = {}
        self._missing: dict[int, int] = {}
        self._dependents: dict[int, list[int]] = {}
        self._ready = Ready(_ranks(needs, seconds or {}), limits)
        self.states: dict[int, State] = {}
        self._counts: dict[State, int] = dict.fromkeys(STATES, 0)
        for index, above in needs.items():
            self.add(index, above)

    def add(self, index: int, needs: Iterable[int]) -> list[tuple[int, int]]:
        """Add a target whose dependencies were added before.

        Returns:
            The target with the dependency that blocks it, if there is one; else an empty list.

        """
        self._needs[index] = above = tuple(needs)
        self._dependents[index] = []
        self.states[index] = Open.PENDING
        self._counts[Open.PENDING] += 1
        unbuilt = [dep for dep in above if self.states[dep] not in _THERE]
        for dep in unbuilt:
            if self.states[dep] in _NOT_THERE or self.states[dep] is Blocked:
                self.move(index, Blocked)
                return [(index, dep)]
        for dep in unbuilt:
            self._dependents[dep].append(index)
        self._missing[index] = len(unbuilt)
        if not unbuilt:
            self.move(index, Open.READY)
        return []

    def end(self, index: int, outcome: Outcome) -> list[tuple[int, int]]:
        """Move a target to the state that an outcome means; return the same as `move`."""
        state: State = type(outcome)
        if isinstance(outcome, Failed) and outcome.retry_in is not None:
            state = Open.DELAYED if outcome.retry_in else Open.READY
        return self.move(index, state)

    def move(self, index: int, state: State) -> list[tuple[int, int]]:
        """Move a target to a state, and release or block its dependents.

        Returns:
            The targets that this blocks, each with the target that blocks it.

        """
        before = self.states[index]
        assert state in _LEGAL[before], f"{before} -> {state}"
        self._counts[before] -= 1
        self._counts[state] += 1
        self.states[index] = state
        if before is Open.RUNNING:
            self._ready.give_back(index)
        if state is Open.READY:
            self._ready.push(index)
        elif state is Open.RUNNING:
            self._ready.take(index)
        elif state in _THERE:
            for dependent in self._dependents[index]:
                self._missing[dependent] -= 1
                if not self._missing[dependent] and self.states[dependent] is Open.PENDING:
                    self.move(dependent, Open.READY)
        elif state in _NOT_THERE:
            return self._block_below(index)
        return []

    def _block_below(self, index: int) -> list[tuple[int, int]]:
        blocked: list[tuple[int, int]] = []
        pending = [index]
        while pending:
            upstream = pending.pop()
            for dependent in self._dependents[upstream]:
                if self.states[dependent] is Open.PENDING:
                    self.move(dependent, Blocked)
                    blocked.append((dependent, index))
                    pending.append(dependent)
        return blocked

    def take(self) -> int | None:
        """Return the ready target to start next, now RUNNING; None if none can start."""
        index = self._ready.pop() if self._counts[Open.READY] else None
        if index is not None:
            self.move(index, Open.RUNNING)
        return index

    def was_short(self, index: int) -> bool:
        """Return whether a ready target had to wait for amounts that running targets held."""
        return self._ready.was_short(index)

    def needs_of(self, index: int) -> tuple[int, ...]:
        """Return the dependencies of a target that are in this schedule."""
        return self._needs[index]

    def count(self, state: State) -> int:
        """Return how many targets are in a state."""
        return self._counts[state]

    def in_state(self, state: State) -> list[int]:
        """Return the targets in a state."""
        return [index for index, current in self.states.items() if current is state]


def _ranks(needs: Mapping[int, Sequence[int]], seconds: Mapping[int, float]) -> dict[int, float]:
    place = {index: i for i, index in enumerate(needs)}
    above = [[place[dep] for dep in deps] for deps in needs.values()]
    found = ranks(above, [seconds.get(index) for index in needs])
    return dict(zip(needs, found, strict=True))


@dataclass(slots=True)
class _Group:
    """Ready targets with the same needs."""

    needs: Needs
    heap: list[tuple[float, int]] = field(default_factory=list)
    kept: set[str] = field(default_factory=set)
    """Names of amounts that its first target lacked; no later group takes them before it starts."""


class Ready:
    """The ready targets, and the amounts that are free.

    Args:
        ranks: by target: a higher rank starts sooner, of equal ones the lower index. Targets
            without a rank come last.
        limits: the amounts that targets may take together; a target without needs always fits.

    """

    def __init__(self, ranks: Mapping[int, float], limits: Limits | None = None) -> None:
        self._ranks = ranks
        self._needs = limits.needs if limits is not None else {}
        self._free = dict(limits.amounts) if limits is not None else {}
        self._groups: dict[Needs, _Group] = {}
        self._short: set[int] = set()

    def push(self, index: int) -> None:
        """Add a target that is ready."""
        needs = self._needs.get(index, ())
        group = self._groups.get(needs)
        if group is None:
            group = self._groups[needs] = _Group(needs)
        heapq.heappush(group.heap, (-self._ranks.get(index, 0.0), index))

    def pop(self) -> int | None:
        """Return and remove the target to start next; None if no ready target fits."""
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
        """Return whether a ready target had to wait until others gave amounts back."""
        return index in self._short

    def take(self, index: int) -> None:
        """Subtract the needs of a target that starts from the free amounts."""
        for name, amount in self._needs.get(index, ()):
            self._free[name] -= amount

    def give_back(self, index: int) -> None:
        """Add the needs of a target that ended to the free amounts."""
        for name, amount in self._needs.get(index, ()):
            self._free[name] += amount
