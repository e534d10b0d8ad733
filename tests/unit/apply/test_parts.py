"""A run in parts is reported as one: views, journals and programs count on that."""

from __future__ import annotations

from typing import TYPE_CHECKING

from marin_build.apply.events import (
    ApplyExpanded,
    ApplyFinished,
    ApplyStarted,
    CriticalPath,
    StepEnded,
    Timed,
)
from marin_build.apply.parts import Parts, totals_of_parts
from marin_build.plan.decide import make_plan
from marin_build.plan.outcomes import Blocked, Failed, Succeeded
from marin_build.plan.snapshot import Observed, Snapshot

if TYPE_CHECKING:
    from marin_build.apply.events import Event
    from tests.unit.conftest import TargetsOf


def _totals(**counts: object) -> ApplyFinished:
    zero = dict.fromkeys(
        ("succeeded", "failed", "reused", "blocked", "stopped", "interrupted", "not_started"), 0
    )
    return ApplyFinished(**{"run": "r-1", "seconds": 1.0, **zero, **counts})  # type: ignore[arg-type]


def test_the_totals_of_one_part_are_its_own() -> None:
    only = _totals(succeeded=3, reused=1)
    assert totals_of_parts([only], 0, 0) == only


def test_totals_count_each_target_once() -> None:
    path = [CriticalPath(1.0, 1, (Timed("a", 1.0),)), CriticalPath(2.0, 1, (Timed("b", 2.0),))]
    first = _totals(succeeded=2, failed=1, reused=4, saved_seconds=9.0, critical_path=path[0],
                    slowest=(Timed("a", 1.0),), waiting=("later",))  # fmt: skip
    last = _totals(succeeded=3, reused=6, blocked=2, seconds=2.0, critical_path=path[1],
                   slowest=(Timed("b", 2.0),))  # fmt: skip
    totals = totals_of_parts([first, last], 2, 1)
    assert (totals.succeeded, totals.failed, totals.reused, totals.blocked) == (5, 1, 4, 1)
    assert (totals.seconds, totals.saved_seconds, totals.waiting) == (3.0, 9.0, ())
    assert totals.slowest == (Timed("b", 2.0), Timed("a", 1.0))
    assert totals.critical_path == CriticalPath(3.0, 2, (Timed("a", 1.0), Timed("b", 2.0)))


def test_a_run_begins_once_and_ends_once(targets_of: TargetsOf) -> None:
    """Else a program that reads the events takes the parts for runs."""
    targets = targets_of([[], [], [1]])
    plan = make_plan(targets, Snapshot({i: Observed() for i in range(3)}), (0, 1, 2))
    ids = [target.id for target in targets.all]
    seen: list[Event] = []
    parts = Parts(seen.append)
    parts(ApplyStarted("r-1", 3, 0, 2))
    blocked = StepEnded("s2", ids[2], Blocked("s1", ""))
    parts(blocked)
    parts(_totals(succeeded=1, failed=1, blocked=1))
    parts.ended(plan, {0: Succeeded, 1: Failed, 2: Blocked})
    assert parts.progress.built == {ids[0]}
    assert parts.progress.failed == {ids[1]}
    parts.begin(["later", "later"])
    parts(ApplyStarted("r-1", 2, 1, 2))
    parts(StepEnded("s1", ids[1], Blocked("", "it failed")))
    parts(blocked)
    parts(_totals(succeeded=2, reused=1, blocked=2))
    parts.finish()
    expected = _totals(succeeded=3, failed=1, reused=1, blocked=1, seconds=2.0)
    assert seen == [
        ApplyStarted("r-1", 3, 0, 2), blocked, ApplyExpanded(("later",), 2), expected,
    ]  # fmt: skip
