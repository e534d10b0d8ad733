"""Each reason as people and programs see it: text, Markdown, JSON."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from marin_build import ResourceConfig, StepSpec
from marin_build.emit.plan_json import plan_json
from marin_build.emit.plan_text import plan_markdown, plan_text
from marin_build.emit.plan_view import show
from marin_build.observe.read_drift import FoundDrift
from marin_build.plan import block_reasons as blocks
from marin_build.plan import reasons as why
from marin_build.plan.decisions import Decision, Kind, Plan
from marin_build.plan.document_of_plan import plan_document
from marin_build.plan.estimate import Estimate, PlanEstimate, estimate_plan
from marin_build.plan.identity_drift import IdentityDrift, OtherUpstream
from marin_build.plan.reason_text import reason_kind
from marin_build.plan.snapshot import Snapshot
from tests.unit.plan.test_reason_text import EXAMPLES

if TYPE_CHECKING:
    from collections.abc import Callable

    from marin_build.pipeline.targets import Targets

GOLDEN = Path(__file__).parents[2] / "golden" / "reasons"


@pytest.fixture
def plan(make: Callable[..., Targets]) -> Plan:
    """One target for each reason, in the order of the table of reasons."""
    counts: dict[str, int] = {}
    steps: list[StepSpec] = []
    for reason, kind, *_ in EXAMPLES:
        counts[kind] = counts.get(kind, 0) + 1
        name = f"{kind}/{counts[kind]}"
        needs = steps[:1] if isinstance(reason, why.Cascade | blocks.UpstreamBlocked) else []
        resources = ResourceConfig.with_tpu("v5p-8") if isinstance(reason, why.RunReason) else None
        steps.append(
            StepSpec(
                name=name,
                fn=print,
                deps=needs,
                resources=resources,
                declared=("/project/pipeline.py", 10 + len(steps)),
            )
        )
    targets = make(*steps)
    by_name = {target.name: index for index, target in enumerate(targets.all)}
    decisions = [
        Decision(by_name[step.name], _kind(reason), reason)
        for step, (reason, *_) in zip(steps, EXAMPLES, strict=True)
    ]
    return Plan(targets, targets.requested, tuple(decisions), frozenset(), Snapshot())


def _kind(reason: why.Reason) -> Kind:
    if isinstance(reason, why.RunReason):
        return Kind.RUN
    if isinstance(reason, why.WaitReason):
        return Kind.WAIT
    return Kind.REUSE if isinstance(reason, why.ReuseReason) else Kind.BLOCKED


def _estimate(plan: Plan) -> PlanEstimate:
    steps = {index: Estimate(3600.0, 3, 1.5, is_charged=True) for index in plan.to_build}
    return estimate_plan(steps, plan.targets.deps, 2)


@pytest.mark.parametrize("form", ["txt", "md", "json"])
def test_every_reason_in_every_form(plan: Plan, form: str) -> None:
    """Else a change of a word or a field reaches people and programs unseen."""
    if form == "json":
        document = plan_document(
            plan, pipeline="pipeline.py", parameters={}, engine="local", pin_code=False
        )
        text = plan_json(document, plan, _estimate(plan), None, [])
    else:
        again = ("to build it", "marin-build apply")
        shown = show(plan, "p-81c2d3e4", again, _estimate(plan), {}, verbose=True)
        text = plan_text(shown) if form == "txt" else plan_markdown(shown)
    path = GOLDEN / f"plan.{form}"
    if os.environ.get("UPDATE_GOLDEN") == "1":
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    assert text == path.read_text(), f"{path}: if right, UPDATE_GOLDEN=1"


IDENTITY_DRIFT = {
    "version": IdentityDrift(
        "under version v1",
        "0" * 64,
        "1" * 64,
        (
            why.Change("attrs.n", 1, 2, "attrs.n 1 -> 2"),
            why.Change("deps.a", "a_1", "a_2", "needs a, which changed", "attrs.q 1 -> 2"),
        ),
    ),
    "place": IdentityDrift("at its output path", "2" * 64, "3" * 64),
    "above": IdentityDrift(
        "",
        "4" * 64,
        "5" * 64,
        upstream=(
            OtherUpstream("version@v1", (why.Change("attrs.n", 1, 2, "attrs.n 1 -> 2"),)),
            OtherUpstream("place_1a2b3c4d", ()),
        ),
    ),
    "pruned": IdentityDrift(
        "under version v\x1b[2J|`", "6" * 64, "7" * 64, (why.Change("x|`", None, "\n", "x|` \n"),)
    ),
    "rebuilt": IdentityDrift("under version v1", "8" * 64, "9" * 64),
}
"""By step; what stands in a name or a value is hostile. What is rebuilt has no drift."""


@pytest.fixture
def drifted(make: Callable[..., Targets]) -> Plan:
    """What is reused with another identity, what was made from it, and what is below both."""
    steps: dict[str, StepSpec] = {}
    for line, name in enumerate(("pruned", "version", "place", "above", "rebuilt"), 1):
        deps = [steps[below] for below in ("pruned", "version") if below in steps]
        declared = ("/project/pipeline.py", line)
        steps[name] = StepSpec(name=name, fn=print, deps=deps, declared=declared)
    targets = make(*steps.values())
    at = {target.name: index for index, target in enumerate(targets.all)}
    built = why.BuiltBefore("r-1", "ada@host", "2026-11-21T10:20:30")
    decisions = [
        Decision(index, *((Kind.RUN, why.Forced()) if name == "rebuilt" else (Kind.REUSE, built)))
        for name, index in at.items()
        if name != "pruned"
    ]
    snapshot = Snapshot(drifted={at[name]: drift for name, drift in IDENTITY_DRIFT.items()})
    return Plan(targets, targets.requested, tuple(decisions), frozenset(), snapshot)


@pytest.mark.parametrize("form", ["txt", "md", "json"])
def test_a_changed_identity_in_every_form(drifted: Plan, form: str) -> None:
    """Else a version holds something else than is declared, and nobody reads that."""
    drift = FoundDrift(drifted, {}).drift
    if form == "json":
        document = plan_document(
            drifted,
            pipeline="pipeline.py",
            parameters={},
            engine="local",
            pin_code=False,
            drift=drift,
        )
        entries = json.loads(plan_json(document, drifted, _estimate(drifted), None, []))
        found = {each["name"]: each["drift"] for each in entries["decisions"]}
        text = json.dumps(found, indent=1) + "\n"
    else:
        again = ("to build it", "marin-build apply")
        shown = show(drifted, "p-81c2d3e4", again, _estimate(drifted), drift)
        text = plan_text(shown) if form == "txt" else plan_markdown(shown)
    path = GOLDEN / f"drift.{form}"
    if os.environ.get("UPDATE_GOLDEN") == "1":
        path.write_text(text)
    assert text == path.read_text(), f"{path}: if right, UPDATE_GOLDEN=1"


def test_the_goldens_hold_every_reason() -> None:
    kinds = {
        each["reasons"][0]["kind"]
        for each in json.loads((GOLDEN / "plan.json").read_text())["decisions"]
    }
    assert kinds == {reason_kind(example[0]) for example in EXAMPLES}
