"""How long a plan takes and what it costs, judged by earlier builds of the same names. Pure.

Nothing is invented. A step that was never built has no duration: it counts as 0 in sums, and every
sum that it is part of is then a lower bound, and says so.
"""

from __future__ import annotations

import heapq
import math
from typing import TYPE_CHECKING

from marin_build.identity.canonical import FrozenDict
from marin_build.plan.graph_shape import dependents, longest_chain, ranks
from marin_build.plan.schedule import Ready
from marin_build.quick_dataclass import dataclass

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping, Sequence

    from marin_build.pipeline.step_spec import StepSpec
    from marin_build.pipeline.targets import Targets
    from marin_build.plan.capacity import Limits
    from marin_build.plan.prices import Prices


@dataclass(frozen=True, slots=True)
class Duration:
    """The median duration of earlier builds, in seconds, and how many builds there are."""

    seconds: float
    count: int


@dataclass(frozen=True, slots=True)
class Estimate:
    """The time and cost of building one target.

    Args:
        seconds: how long it takes; None if it was never built.
        count: of how many earlier builds `seconds` is the median.
        cost: US dollars; None if it is not paid for by the hour, or at an unknown price.
        is_charged: whether it is paid for by the hour.
        takes_slot: whether it takes one of the `-j` slots; a step on another machine does not.
        queued: the seconds that its job may wait in the engine's queue before; they cost nothing.

    """

    seconds: float | None
    count: int
    cost: float | None = None
    is_charged: bool = False
    takes_slot: bool = True
    queued: float = 0.0


_UNKNOWN = Estimate(None, 0)


@dataclass(frozen=True, slots=True)
class PlanEstimate:
    """The time and cost of building all targets of a plan.

    Args:
        steps: the estimate of each target to build, by index.
        jobs: how many run at once on this machine.
        critical_path: the targets of the slowest chain, the first one first; empty if no
            duration is known.
        critical_seconds: the duration of that chain, which no number of machines shortens.
        queued_seconds: how much of that is waiting in the queues of engines.
        total_seconds: the duration of the whole with `jobs` slots; a lower bound without all
            durations.
        is_limited: whether the amounts of the machine, not only the slots, make it longer.
        cost: US dollars; None if no cost is known.
        no_history: how many targets have no duration.
        no_price: how many targets have a duration, and are paid for, but at an unknown price.

    """

    steps: Mapping[int, Estimate]
    jobs: int
    critical_path: tuple[int, ...]
    critical_seconds: float
    total_seconds: float
    cost: float | None
    no_history: int
    no_price: int
    is_limited: bool = False
    queued_seconds: float = 0.0

    @property
    def is_complete(self) -> bool:
        """Whether every duration is known: if not, the durations are lower bounds."""
        return not self.no_history

    @property
    def cost_is_complete(self) -> bool:
        """Whether every cost is known: if not, their sum is a lower bound."""
        return all(step.cost is not None or not step.is_charged for step in self.steps.values())


def typical(seconds: Iterable[float]) -> Duration | None:
    """Return the median of earlier builds, or None if there were none.

    Values that are no durations are left out: a clock that was set back gives a negative one.
    """
    from statistics import median

    known = [value for value in seconds if 0 <= value < math.inf]
    return Duration(median(known), len(known)) if known else None


def estimate_steps(
    targets: Targets,
    to_build: Collection[int],
    history: Mapping[str, Sequence[float]],
    prices: Prices | None,
    *,
    waiting: Collection[int] = (),
    is_here: Callable[[StepSpec], bool] = lambda _step: True,
    queued: Mapping[str, Sequence[float]] = FrozenDict(),
) -> dict[int, Estimate]:
    """Return the estimate of each target that is to be built.

    Args:
        targets: the pipeline's targets.
        to_build: which of them are built.
        history: the seconds that earlier builds took, by name of the step.
        prices: the prices of resources; None if no step has resources.
        waiting: the targets of `to_build` that another run builds. They take no slot of this run
            and cost it nothing. The whole duration counts, as the rest of it is not known.
        is_here: whether a step with resources takes a slot of this machine.
        queued: the seconds that jobs of earlier builds waited in a queue, by name of the step.

    """
    if not any(history.values()) and targets.traits.with_needs.isdisjoint(to_build) and not waiting:
        return dict.fromkeys(
            to_build, _UNKNOWN
        )  # a pipeline, before it is built for the first time
    waits = {name: known.seconds for name, seen in queued.items() if (known := typical(seen))}
    typicals = {name: typical(seconds) for name, seconds in history.items()}
    rates: dict[int, float | None] = {}  # of a second; by object, because many steps share one
    waiting = frozenset(waiting)
    found: dict[int, Estimate] = {}
    for index in to_build:
        step = targets.all[index].step
        known = typicals.get(step.name)
        seconds, count = (known.seconds, known.count) if known else (None, 0)
        resources = step.resources
        if index in waiting or resources is None:
            found[index] = Estimate(seconds, count, takes_slot=index not in waiting)
            continue
        if id(resources) not in rates:
            rates[id(resources)] = prices.cost_of(resources, 1.0) if prices else None
        rate = rates[id(resources)]
        cost = None if seconds is None or rate is None else rate * seconds
        here = is_here(step)
        queue = 0.0 if here else waits.get(step.name, 0.0)
        found[index] = Estimate(seconds, count, cost, True, here, queue)
    return found


def estimate_plan(
    steps: Mapping[int, Estimate],
    deps: Sequence[Sequence[int]],
    jobs: int,
    limits: Limits | None = None,
) -> PlanEstimate:
    """Return the time and cost of building all these targets.

    Args:
        steps: the estimates of the targets to build.
        deps: the dependencies of every target of the pipeline, as indices lower than its own.
        jobs: how many targets run at once on this machine.
        limits: the amounts that they may take together; None: only `jobs` limits them.

    """
    no_history = sum([step.seconds is None for step in steps.values()])
    if no_history == len(steps):
        return PlanEstimate(steps, jobs, (), 0.0, 0.0, None, no_history, no_price=0)
    work = _Work(steps, deps)
    path, critical = work.slowest_chain()
    # Shorter steps can make such a schedule longer (Graham, 1969), so with steps of unknown
    # duration the simulated end is no lower bound; these are.
    end_of = work.least_end if no_history else work.simulated_end
    total = unlimited = max(critical, end_of(jobs, None))
    if limits is not None:
        total = max(critical, end_of(jobs, limits))
    costs = [step.cost for step in steps.values() if step.cost is not None]
    no_price = sum(
        step.is_charged and step.cost is None and step.seconds is not None
        for step in steps.values()
    )
    return PlanEstimate(
        steps=steps,
        jobs=jobs,
        critical_path=tuple(path),
        critical_seconds=critical,
        total_seconds=total,
        cost=math.fsum(costs) if costs else None,
        no_history=no_history,
        no_price=no_price,
        is_limited=total > unlimited,
        queued_seconds=math.fsum(steps[index].queued for index in path),
    )


class _Work:
    """The targets to build, numbered from 0 in topological order."""

    def __init__(self, steps: Mapping[int, Estimate], deps: Sequence[Sequence[int]]) -> None:
        self.order = sorted(steps)
        self.place = {index: i for i, index in enumerate(self.order)}
        self.needs = [[self.place[d] for d in deps[i] if d in self.place] for i in self.order]
        self.dependents = dependents(self.needs)
        self.seconds = [(steps[i].seconds or 0.0) + steps[i].queued for i in self.order]
        self.takes_slot = [steps[index].takes_slot for index in self.order]

    def slowest_chain(self) -> tuple[list[int], float]:
        """Return the targets of the slowest chain, the first one first, and its seconds."""
        path, seconds = longest_chain(self.needs, self.seconds)
        return [self.order[i] for i in path], seconds

    def least_end(self, jobs: int, limits: Limits | None) -> float:
        """Return the seconds that the work takes if no slot and no limited amount is ever idle."""
        slots = [i for i in range(len(self.order)) if self.takes_slot[i]]
        least = math.fsum(self.seconds[i] for i in slots) / jobs
        if limits is None:
            return least
        taken: dict[str, float] = {}
        for i in slots:
            for name, amount in limits.needs.get(self.order[i], ()):
                taken[name] = taken.get(name, 0.0) + amount * self.seconds[i]
        times = [amount / limits.amounts[name] for name, amount in taken.items() if amount]
        return max([least, *times])

    def simulated_end(self, jobs: int, limits: Limits | None) -> float:
        """Return the seconds until all is built, if ready steps start in the order of `apply`.

        A step that takes no slot starts as soon as it is ready.
        """
        ready = Ready(dict(zip(self.order, ranks(self.needs, self.seconds), strict=True)), limits)
        missing = [len(needs) for needs in self.needs]
        running: list[tuple[float, int]] = []
        fresh = [i for i, count in enumerate(missing) if not count]
        now, free = 0.0, jobs
        while True:
            for i in fresh:
                if self.takes_slot[i]:
                    ready.push(self.order[i])
                else:
                    heapq.heappush(running, (now + self.seconds[i], i))
            while free and (index := ready.pop()) is not None:
                ready.take(index)
                heapq.heappush(running, (now + self.seconds[self.place[index]], self.place[index]))
                free -= 1
            if not running:
                return now
            now, fresh = running[0][0], []
            while running and running[0][0] == now:  # all that end at this instant
                ended = heapq.heappop(running)[1]
                if self.takes_slot[ended]:
                    ready.give_back(self.order[ended])
                    free += 1
                fresh += self._released_by(ended, missing)

    def _released_by(self, ended: int, missing: list[int]) -> list[int]:
        """Return the steps that waited for this step last, and are ready now."""
        released = []
        for i in self.dependents[ended]:
            missing[i] -= 1
            if not missing[i]:
                released.append(i)
        return released
