"""How a target stands, from one look: a living holder is never called dead."""

from __future__ import annotations

import pytest

from marin_build.plan.reasons import Unreadable
from marin_build.plan.snapshot import NOTHING_SEEN, LastAttempt, Observed
from marin_build.plan.target_state import Standing, State, counts, standing_of
from marin_build.protocol.lease import Lease

HELD = Lease("ada@far", 9.0, run="r-1", attempt=2, nonce="n")
SEALED = HELD.sealed("d", 10.0)
DAMAGE = Unreadable("lease", "/o/.executor_status.lock")
LAST = LastAttempt(2, 1, "no", "ada@far", None)


@pytest.mark.parametrize(
    ("seen", "expected"),
    [
        (NOTHING_SEEN, Standing(State.NOT_BUILT)),
        (Observed("SUCCESS"), Standing(State.BUILT)),
        (Observed("SUCCESS", doubtful=True), Standing(State.DOUBTFUL)),
        (Observed("RUNNING", lease=HELD), Standing(State.RUNNING, HELD)),
        (Observed("FAILED", lease=HELD), Standing(State.RUNNING, HELD)),
        (Observed("RUNNING", lease=HELD, gone=True), Standing(State.GONE, HELD)),
        (Observed("RUNNING", lease=SEALED), Standing(State.SEALED, SEALED)),
        (Observed("RUNNING", lease=SEALED, gone=True), Standing(State.SEALED, SEALED)),
        (Observed("RUNNING"), Standing(State.CUT_SHORT)),
        (Observed("FAILED", last=LAST), Standing(State.FAILED, last=LAST)),
        (Observed("DEP_FAILED"), Standing(State.FAILED)),
        (Observed("SUCCESS", damage=DAMAGE), Standing(State.UNREADABLE, damage=DAMAGE)),
        (Observed("RUNNING", damage=DAMAGE), Standing(State.UNREADABLE, damage=DAMAGE)),
    ],
)
def test_how_a_target_stands(seen: Observed, expected: Standing) -> None:
    assert standing_of(seen, is_still_written=lambda _: False) == expected


def test_what_a_dead_holder_left_running_still_runs() -> None:
    """Else somebody builds beside it."""
    seen = Observed("RUNNING", lease=HELD, gone=True)
    found = standing_of(seen, is_still_written=lambda lease: lease == HELD)
    assert found == Standing(State.RUNNING, HELD, left_running=True)


def test_every_state_is_counted() -> None:
    found = counts({0: Standing(State.BUILT), 7: Standing(State.BUILT)})
    assert found == {**dict.fromkeys(State, 0), State.BUILT: 2}
