"""A plan on a machine that lacks what some of its steps need."""

from __future__ import annotations

from typing import TYPE_CHECKING

from marin_build import ResourceConfig, StepSpec
from marin_build.plan import block_reasons as blocks
from marin_build.plan.capacity import Capacity, Machine, fit
from marin_build.plan.decide import make_plan
from marin_build.plan.decisions import Kind, Plan
from marin_build.plan.snapshot import Observed, Snapshot
from marin_build.protocol.lease import Lease

if TYPE_CHECKING:
    from collections.abc import Callable

    from marin_build.pipeline.targets import Targets

GPU = ResourceConfig.with_gpu("h100")


def _plan(
    make: Callable[..., Targets], *steps: StepSpec, seen: dict[str, Observed] | None = None
) -> Plan:
    targets = make(*steps)
    sights = {i: (seen or {}).get(t.name, Observed()) for i, t in enumerate(targets.all)}
    return make_plan(targets, Snapshot(sights), targets.requested)


def _kinds(plan: Plan) -> dict[str, Kind]:
    return {plan.targets.all[d.index].name: d.kind for d in plan.decisions}


def _never() -> Capacity:
    raise AssertionError("nobody asks what the machine has")


def test_what_cannot_run_is_blocked_with_all_that_needs_it(make: Callable[..., Targets]) -> None:
    """Else a night is spent on the inputs of a step that never had a chance."""
    raw = StepSpec(name="raw", fn=print)
    train = StepSpec(name="train", fn=print, deps=[raw], resources=GPU)
    report = StepSpec(name="report", fn=print, deps=[train, raw])
    plan = _plan(make, report, StepSpec(name="other", fn=print))
    fitted = fit(plan, lambda: Capacity(Machine(2), {}))
    assert _kinds(fitted) == {"raw": Kind.RUN, "train": Kind.BLOCKED, "report": Kind.BLOCKED,
                              "other": Kind.RUN}  # fmt: skip
    reasons = {plan.targets.all[d.index].name: d.reason for d in fitted.decisions}
    assert reasons["train"] == blocks.DeviceMissing("gpu", 1, 0)
    assert reasons["report"] == blocks.UpstreamBlocked(train.target_id)
    assert fit(plan, lambda: Capacity(Machine(2, gpus=("0",)), {})) is plan


def test_where_nothing_is_asked_for_nobody_looks(make: Callable[..., Targets]) -> None:
    """Else every plan pays for what few steps need."""
    built = StepSpec(name="b", fn=print, resources=GPU)
    plan = _plan(make, StepSpec(name="a", fn=print, deps=[built]),
                 seen={"b": Observed("SUCCESS")})  # fmt: skip
    assert fit(plan, _never) is plan


def test_what_somebody_else_builds_is_waited_for(make: Callable[..., Targets]) -> None:
    """He may have the machine for it."""
    theirs = Lease("bob@far", 1.0, run="r-2", attempt=1, nonce="n", boot="elsewhere")
    plan = _plan(make, StepSpec(name="a", fn=print, resources=GPU),
                 seen={"a": Observed("RUNNING", theirs)})  # fmt: skip
    assert _kinds(fit(plan, _never)) == {"a": Kind.WAIT}
