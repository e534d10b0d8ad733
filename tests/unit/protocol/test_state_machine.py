"""The state machine of a target, as whole tables: a wrong line builds twice, or never."""

from __future__ import annotations

import itertools
from dataclasses import replace
from typing import get_args

import pytest

from marin_build.protocol.lease import Lease
from marin_build.protocol.look import Seen
from marin_build.protocol.state_machine import Event, IllegalMoveError, State, see, transition
from marin_build.protocol.status import Status
from marin_build.protocol.tombstone import Tombstone

TOMBSTONE = Tombstone("SUCCESS", "ada", "2026-11-20T10:00:00+00:00", "g-1")
THEIRS = Lease("ada", 1.0, nonce="n")
OURS = Lease("me", 1.0, nonce="mine")
MARINS = Lease("host-3-17", 1.0)
SEALED = THEIRS.sealed("d", 2.0)
OUR_SEAL = OURS.sealed("d", 2.0)
LEASES = [None, THEIRS, OURS, MARINS, SEALED, OUR_SEAL]
CASES = list(
    itertools.product([None, *get_args(Status)], LEASES, ["", "mine"], [False, True], [False, True])
)


def _rule(status: Status | None, lease: Lease | None, nonce: str, stale: bool, force: bool) -> str:
    """The table in DESIGN's words, the first line that fits."""
    lines = [
        (lease in (SEALED, OUR_SEAL), "SAW_SEAL"),  # a seal is never taken over to rerun
        (lease is OURS and nonce == "mine", "SAW_OURS"),
        (status == "SUCCESS" and not force, "SAW_SUCCESS"),
        (lease is None, "SAW_NOBODY"),
        (stale, "SAW_STALE"),
        (True, "SAW_HOLDER"),
    ]
    return next(answer for fits, answer in lines if fits)


@pytest.mark.parametrize(("status", "lease", "nonce", "stale", "force"), CASES)
def test_what_a_look_at_a_target_says(
    status: Status | None, lease: Lease | None, nonce: str, stale: bool, force: bool
) -> None:
    found = see(Seen(status, lease=lease), nonce=nonce, stale=stale, force=force)
    assert found.name == _rule(status, lease, nonce, stale, force)


def test_a_tombstone_is_seen_where_a_built_target_would_be_used() -> None:
    """Else a run reads an output while gc deletes it."""
    for status, lease, nonce, stale, force in CASES:
        seen = Seen(status, lease=lease)
        plain = see(seen, nonce=nonce, stale=stale, force=force)
        marked = replace(seen, tombstone=TOMBSTONE)
        found = see(marked, nonce=nonce, stale=stale, force=force)
        assert found is (Event.SAW_TOMBSTONE if plain is Event.SAW_SUCCESS else plain)


# Every legal move; whatever is not here is illegal.
MOVES = """
    UNKNOWN       SAW_NOBODY  FREE
    UNKNOWN       SAW_HOLDER  HELD_BY_OTHER
    UNKNOWN       SAW_STALE   ABANDONED
    UNKNOWN       SAW_OURS    HELD
    UNKNOWN       SAW_SEAL    COMMITTED
    UNKNOWN       SAW_SUCCESS FINISHED
    UNKNOWN       SAW_TOMBSTONE TOMBSTONED
    UNKNOWN       LOCKED      QUICK
    QUICK         ANNOUNCED   RUNNING
    QUICK         PUBLISHED   FINISHED
    QUICK         OVERTAKEN   LOST
    TOMBSTONED    REVIVED     UNKNOWN
    HELD_BY_OTHER LOOKED_AWAY UNKNOWN
    FREE          TOOK_LEASE  HELD
    FREE          BEATEN      UNKNOWN
    ABANDONED     TOOK_LEASE  HELD
    ABANDONED     BEATEN      UNKNOWN
    HELD          TOOK_LEASE  HELD
    HELD          BEATEN      UNKNOWN
    HELD          OPENED      RUNNING
    HELD          SAW_SUCCESS FINISHED
    HELD          OVERTAKEN   UNKNOWN
    HELD          FOUND_FOREIGN REFUSED
    RUNNING       SEALED      COMMITTED
    RUNNING       GAVE_UP     ENDED
    RUNNING       OVERTAKEN   LOST
    COMMITTED     PUBLISHED   FINISHED
    COMMITTED     OVERTAKEN   UNKNOWN
"""
LEGAL = {(State[s], Event[e]): State[to] for s, e, to in map(str.split, MOVES.split("\n")[1:-1])}


@pytest.mark.parametrize(("state", "event"), list(itertools.product(State, Event)))
def test_every_move_is_legal_or_refused(state: State, event: Event) -> None:
    if (state, event) in LEGAL:
        assert transition(state, event) is LEGAL[state, event]
        return
    with pytest.raises(IllegalMoveError, match=f"{event.name} in {state.name}"):
        transition(state, event)


def test_whoever_lost_a_target_or_gave_it_up_does_nothing_more_to_it() -> None:
    for state in (State.LOST, State.ENDED, State.FINISHED):
        assert not [move for move in LEGAL if move[0] is state]


def test_a_commit_comes_from_a_seal_and_from_nothing_else() -> None:
    into = {move for move, to in LEGAL.items() if to is State.COMMITTED}
    assert into == {(State.UNKNOWN, Event.SAW_SEAL), (State.RUNNING, Event.SEALED)}
    out_of = {to for (state, _), to in LEGAL.items() if state is State.COMMITTED}
    assert out_of == {State.FINISHED, State.UNKNOWN}


def test_a_step_runs_only_under_a_lease_that_the_store_acknowledged() -> None:
    before = {state for (state, _), to in LEGAL.items() if to is State.RUNNING}
    assert before == {State.HELD, State.QUICK}, "the kernel acknowledges a lock"
    assert {event for (_, event), to in LEGAL.items() if to is State.QUICK} == {Event.LOCKED}
    acknowledged = {Event.TOOK_LEASE, Event.SAW_OURS}
    assert {event for (_, event), to in LEGAL.items() if to is State.HELD} == acknowledged


def test_every_state_can_be_reached() -> None:
    reached, before = {State.UNKNOWN}, set[State]()
    while reached != before:
        before = set(reached)
        reached |= {to for (state, _), to in LEGAL.items() if state in before}
    assert reached == set(State)
