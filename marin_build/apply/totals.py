"""The totals of a run, from its plan, its schedule and its timeline."""

from __future__ import annotations

import heapq
from typing import TYPE_CHECKING

from marin_build.apply.events import ApplyFinished, CriticalPath, StepDrifted, StepEnded, Timed
from marin_build.plan.block_reasons import UpstreamBlocked
from marin_build.plan.decisions import Kind
from marin_build.plan.outcomes import Blocked, Failed, Held, Interrupted, Reused, Stopped, Succeeded
from marin_build.plan.reason_text import describe
from marin_build.plan.requested_outputs import requested_outputs
from marin_build.plan.schedule import Open

if TYPE_CHECKING:
    from marin_build.apply.timeline import Link, Timeline
    from marin_build.pipeline.targets import Targets
    from marin_build.plan.decisions import Plan
    from marin_build.plan.drifted_targets import DriftedTargets
    from marin_build.plan.schedule import Schedule


_NOT_STARTED = (Open.PENDING, Open.READY, Open.DELAYED, Held)
MOST = 100
"""How many steps of a critical path are reported, the slowest ones."""


def reused_before(plan: Plan) -> int:
    """Return how many targets were built before the run."""
    return len(plan.of_kind(Kind.REUSE)) + plan.pruned - len(plan.sealed)


def drifted_before(plan: Plan) -> list[StepDrifted]:
    """Return an event for each reused target whose identity is not the declared one."""
    if not plan.snapshot.drifted:
        return []
    from marin_build.plan.drift import reused_drift

    found: list[StepDrifted] = []
    for index, drift in reused_drift(plan).items():
        target = plan.targets.all[index]
        found.append(StepDrifted(target.name, target.id, drift.text, (drift.facts,)))
    return found


def blocked_before(plan: Plan) -> list[StepEnded]:
    """Return an event for each blocked target, with the reason unless that is another target."""
    found: list[StepEnded] = []
    for decision in plan.of_kind(Kind.BLOCKED):
        target = plan.targets.all[decision.index]
        is_own = not isinstance(decision.reason, UpstreamBlocked)
        blocked = Blocked("", describe(decision.reason) if is_own else "")
        found.append(StepEnded(target.name, target.id, blocked))
    return found


def totals_of(
    plan: Plan,
    schedule: Schedule,
    timeline: Timeline,
    *,
    run: str,
    seconds: float,
    was_interrupted: bool,
    drifted: tuple[DriftedTargets, ...] = (),
) -> ApplyFinished:
    """Return the totals of a run that took so many seconds.

    Args:
        plan, schedule, timeline: of the run.
        run: its id.
        seconds: how long it took.
        was_interrupted: whether it was asked to end before it was done.
        drifted: the reused targets that drifted, when it began.

    """
    count, states = schedule.count, schedule.states
    outputs = requested_outputs(plan, lambda index: states.get(index) in (Succeeded, Reused))
    return ApplyFinished(
        run=run,
        succeeded=count(Succeeded),
        failed=count(Failed),
        reused=count(Reused) + reused_before(plan),
        blocked=count(Blocked) + len(plan.of_kind(Kind.BLOCKED)),
        stopped=count(Stopped),
        interrupted=count(Interrupted) + count(Open.RUNNING),
        not_started=sum(count(state) for state in _NOT_STARTED),
        seconds=seconds,
        was_interrupted=was_interrupted,
        saved_seconds=_saved_seconds(plan),
        slowest=tuple(_timed(plan.targets, link) for link in timeline.slowest()),
        critical_path=_critical_path(plan.targets, timeline.critical_path()),
        outputs=outputs.first,
        more_outputs=outputs.more,
        drifted=drifted,
        waiting=plan.names_waiting,
    )


def _saved_seconds(plan: Plan) -> float | None:
    """Return what reused targets took to build, as far as the snapshot has their records."""
    records = [plan.snapshot.of(decision.index).built for decision in plan.of_kind(Kind.REUSE)]
    known = [
        built.seconds
        for built in records
        if built is not None and built.seconds and built.adopted_from is None
    ]
    return sum(known) if known else None


def _critical_path(targets: Targets, path: list[Link]) -> CriticalPath | None:
    if not path:
        return None
    shown = set(heapq.nlargest(MOST, range(len(path)), key=lambda i: path[i].seconds))
    return CriticalPath(
        sum(link.seconds for link in path),
        len(path),
        tuple(_timed(targets, link) for i, link in enumerate(path) if i in shown),
    )


def _timed(targets: Targets, link: Link) -> Timed:
    return Timed(targets.all[link.index].id, link.seconds)
