"""What changed since the last build: the first question of everybody whose step reruns."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from marin_build import StepSpec
from marin_build.plan.decide import make_plan
from marin_build.plan.nearest_build import nearest_change
from marin_build.plan.reasons import FailedBefore, IdentityChanged, NeverBuilt
from marin_build.plan.snapshot import Earlier, LastAttempt, Observed, Snapshot
from marin_build.protocol.lease import Lease
from marin_build.protocol.record_reader import Built

if TYPE_CHECKING:
    from collections.abc import Callable

    from marin_build.pipeline.targets import Targets


def _build(end: str, **payload: Any) -> Earlier:
    whole = {"name": "s", "attrs": {}, "deps": [], **payload}
    return Earlier(Built("f" * 64, f"r-{end}", "ada@host", end, target=f"s_{end}"), whole)


def _change(now: dict[str, Any], *earlier: Earlier) -> IdentityChanged | None:
    whole = {"name": "s", "attrs": {}, "deps": [], **now}
    return nearest_change(json.dumps(whole), earlier, lambda id_: f"root of {id_}")


def _texts(change: IdentityChanged | None) -> list[str]:
    assert change is not None
    return [c.text + (f" ({c.because})" if c.because else "") for c in change.changes]


def test_without_an_earlier_build_there_is_nothing_to_compare() -> None:
    assert _change({"attrs": {"n": 1}}) is None


def test_the_nearest_build_is_named_not_the_latest() -> None:
    far = _build("2026", attrs={"n": 9, "m": 9})
    near = _build("2025", attrs={"n": 1, "m": 2})
    change = _change({"attrs": {"n": 1, "m": 3}}, far, near)
    assert change is not None
    assert (change.since, change.run, _texts(change)) == ("s_2025", "r-2025", ["attrs.m 2 -> 3"])


def test_of_equally_near_ones_the_latest_is_taken() -> None:
    builds = [_build(year, attrs={"n": int(year)}) for year in ("2026", "2025")]
    change = _change({"attrs": {"n": 1}}, *builds)
    assert change is not None
    assert change.since == "s_2026"


def test_what_the_author_changed_comes_before_what_came_from_above() -> None:
    old = _build("2026", attrs={"n": 1}, deps=["a_11111111"], bind={"x": "a_11111111"})
    now = {"attrs": {"n": 2}, "deps": ["a_22222222"], "bind": {"x": "a_22222222"}}
    assert _texts(_change(now, old)) == [
        "attrs.n 1 -> 2",
        "needs a, which changed (root of a_22222222)",
    ]


def test_an_exchange_of_two_dependencies_is_told_by_what_they_stand_for() -> None:
    deps = ["a_11111111", "b_22222222"]
    old = _build("2026", deps=deps, bind={"x": deps[0], "y": deps[1]})
    texts = _texts(_change({"deps": deps, "bind": {"x": deps[1], "y": deps[0]}}, old))
    assert [text.partition(" ")[0] for text in texts] == ["bind.x", "bind.y"]


def _chain(make: Callable[..., Targets], n: int) -> Targets:
    first = StepSpec(name="a", fn=print, hash_attrs={"n": n})
    second = StepSpec(name="b", fn=print, deps=[first])
    return make(StepSpec(name="c", fn=print, deps=[second]))


def test_a_change_is_followed_to_its_root(make: Callable[..., Targets]) -> None:
    before, after = _chain(make, 1), _chain(make, 2)
    earlier = {
        i: (
            Earlier(
                Built(t.fingerprint, "r-1", "ada", "2026", target=t.id), json.loads(t.step.payload)
            ),
        )
        for i, t in enumerate(before.all)
    }
    seen = dict.fromkeys(range(3), Observed())
    plan = make_plan(after, Snapshot(seen, earlier), [2])
    reasons = [decision.reason for decision in plan.decisions]
    assert all(isinstance(reason, IdentityChanged) for reason in reasons)
    roots = [r.changes[0].because for r in reasons if isinstance(r, IdentityChanged)]
    assert roots == ["", "attrs.n 1 -> 2", "attrs.n 1 -> 2"]
    without = make_plan(after, Snapshot(seen), [2])
    assert all(isinstance(decision.reason, NeverBuilt) for decision in without.decisions)


_HELD = Lease("ada", 1.0, nonce="n", run="r-2", attempt=1)


@pytest.mark.parametrize(
    "seen",
    [
        Observed("FAILED", last=LastAttempt(1, 3, "boom", "ada@host", "2026")),
        Observed("FAILED"),
        Observed("RUNNING"),
        Observed("DEP_FAILED"),
        Observed("RUNNING", lease=_HELD),
    ],
)
@pytest.mark.parametrize("rerun_failed", [True, False])
def test_what_was_begun_is_no_end_of_a_root_cause(
    make: Callable[..., Targets], seen: Observed, *, rerun_failed: bool
) -> None:
    """Else after a failure the plan says `needs a, which changed`, and nothing says how."""
    before, after = _chain(make, 1), _chain(make, 2)
    earlier = {
        i: (Earlier(Built(t.fingerprint, "r-1", "ada", "2026"), json.loads(t.step.payload)),)
        for i, t in enumerate(before.all)
    }
    snapshot = Snapshot({0: seen, 1: Observed(), 2: seen}, earlier)
    plan = make_plan(after, snapshot, [2], rerun_failed=rerun_failed)
    assert not isinstance(plan.decisions[0].reason, IdentityChanged)
    roots = [decision.root for decision in plan.decisions]
    assert [_texts(root) for root in roots] == [
        ["attrs.n 1 -> 2"],
        ["needs a, which changed (attrs.n 1 -> 2)"],
        ["needs b, which changed (attrs.n 1 -> 2)"],
    ]


def test_a_step_that_was_built_before_it_ran_again_has_no_change(
    make: Callable[..., Targets],
) -> None:
    """Else a retry of the same step is said to differ from itself."""
    targets = _chain(make, 1)
    payload = json.loads(targets.all[0].step.payload)
    same = Earlier(Built(targets.all[0].fingerprint, "r-1", "ada", "2026"), payload)
    plan = make_plan(targets, Snapshot({0: Observed("FAILED")}, {0: (same,)}), [0])
    assert (plan.decisions[0].reason, plan.decisions[0].root) == (
        FailedBefore(0, None, "", "", ""),
        None,
    )
