"""How a target stands, from one look: a living holder is never called dead."""

from __future__ import annotations

import pytest

from marin_build.plan.block_reasons import Unreadable
from marin_build.plan.snapshot import NOTHING_SEEN, LastAttempt, Observed
from marin_build.plan.target_state import State, TargetState, counts, target_state
from marin_build.protocol.lease import Lease
from marin_build.protocol.living_work import Process
from marin_build.protocol.taints import Taint

HELD = Lease("ada@far", 9.0, run="r-1", attempt=2, nonce="n")
SEALED = HELD.sealed("d", 10.0)
DAMAGE = Unreadable("lease", "/o/.executor_status.lock")
LAST = LastAttempt(2, 1, "no", "ada@far", None)


@pytest.mark.parametrize(
    ("seen", "expected"),
    [
        (NOTHING_SEEN, TargetState(State.NOT_BUILT)),
        (Observed("SUCCESS"), TargetState(State.BUILT)),
        (Observed("SUCCESS", doubtful=True), TargetState(State.DOUBTFUL)),
        (Observed("RUNNING", lease=HELD), TargetState(State.RUNNING, HELD)),
        (Observed("FAILED", lease=HELD), TargetState(State.RUNNING, HELD)),
        (Observed("RUNNING", lease=HELD, gone=True), TargetState(State.GONE, HELD)),
        (Observed("RUNNING", lease=SEALED), TargetState(State.SEALED, SEALED)),
        (Observed("RUNNING", lease=SEALED, gone=True), TargetState(State.SEALED, SEALED)),
        (Observed("RUNNING"), TargetState(State.INTERRUPTED)),
        (Observed("FAILED", last=LAST), TargetState(State.FAILED, last=LAST)),
        (Observed("DEP_FAILED"), TargetState(State.FAILED)),
        (Observed("SUCCESS", damage=DAMAGE), TargetState(State.UNREADABLE, damage=DAMAGE)),
        (Observed("RUNNING", damage=DAMAGE), TargetState(State.UNREADABLE, damage=DAMAGE)),
    ],
)
def test_how_a_target_stands(seen: Observed, expected: TargetState) -> None:
    assert target_state(seen) == expected


def test_a_mark_makes_a_built_target_tainted() -> None:
    """Else `status` says built of what the next apply builds again."""
    taint = Taint("wrong dump", "ada@far", "2026-01-02T03:04:05+00:00")
    seen = {status: Observed(status) for status in ("SUCCESS", "FAILED", None)}
    found = {status: target_state(each, taint=taint).state for status, each in seen.items()}
    assert found == {
        "SUCCESS": State.TAINTED,
        "FAILED": State.FAILED,
        None: State.NOT_BUILT,
    }


def test_what_a_dead_holder_left_running_still_runs() -> None:
    """Else somebody builds beside it."""
    work = (Process(7, "sleep 9"),)
    found = target_state(Observed("RUNNING", lease=HELD, gone=True, work=work))
    assert found == TargetState(State.RUNNING, HELD, work=work)


def test_every_state_is_counted() -> None:
    found = counts({0: TargetState(State.BUILT), 7: TargetState(State.BUILT)})
    assert found == {**dict.fromkeys(State, 0), State.BUILT: 2}
