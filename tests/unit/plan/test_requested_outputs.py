"""Where the requested outputs are: only of what is built, and of many only the first."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from marin_build import StepSpec
from marin_build.plan.decide import make_plan
from marin_build.plan.reasons import Adopted
from marin_build.plan.requested_outputs import MOST, requested_outputs
from marin_build.plan.snapshot import Observed, Snapshot

if TYPE_CHECKING:
    from collections.abc import Callable

    from marin_build.pipeline.targets import Targets
    from marin_build.plan.decisions import Plan


def _plan(targets: Targets, *built: int) -> Plan:
    seen = {i: Observed("SUCCESS" if i in built else None) for i in range(len(targets))}
    return make_plan(targets, Snapshot(seen), targets.requested)


def test_only_what_is_built_is_named(make: Callable[..., Targets]) -> None:
    """Else a run that failed points at a folder that is not there."""
    plan = _plan(make(StepSpec(name="a", fn=print), StepSpec(name="b", fn=print)), 0)
    (a,) = requested_outputs(plan).first
    assert (a.name, a.path) == ("a", plan.targets.all[0].output_path)
    both = requested_outputs(plan, {1}.__contains__)
    assert [(o.name, both.more) for o in both.first] == [("a", 0), ("b", 0)]


def test_of_many_the_first_are_named_and_the_others_counted(make: Callable[..., Targets]) -> None:
    """Else the last event of a run of 100,000 targets has 20 MB."""
    targets = make(*(StepSpec(name=f"s{i}", fn=print) for i in range(MOST + 7)))
    found = requested_outputs(_plan(targets, *range(len(targets))))
    assert (len(found.first), found.more) == (MOST, 7)


def test_adopted_data_is_where_it_lies(make: Callable[..., Targets]) -> None:
    """Else the folder that is named holds a record and no data."""
    plan = _plan(make(StepSpec(name="a", fn=print)), 0)
    (decision,) = plan.decisions
    adopted = replace(decision, reason=Adopted("/data/a", 1, 1, "ada", "2026"))
    (found,) = requested_outputs(replace(plan, decisions=(adopted,))).first
    assert found.path == "/data/a"
