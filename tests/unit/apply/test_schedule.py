"""No step before what it needs; none forgotten; none run after what it needs has failed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from marin_build.apply.schedule import Schedule, State

if TYPE_CHECKING:
    from hypothesis.strategies import SearchStrategy

    from tests.unit.conftest import Dag

THERE = {State.SUCCEEDED, State.REUSED}
LOST = {State.FAILED, State.STOPPED, State.INTERRUPTED}
FINAL = THERE | LOST | {State.BLOCKED}
ANSWERS = [*THERE, *LOST, State.READY, State.HELD]


@given(data=st.data())
def test_every_graph_ends_with_each_target_in_its_right_state(
    data: st.DataObject, dags: SearchStrategy[Dag]
) -> None:
    dag = data.draw(dags)
    wanted = sorted(data.draw(st.sets(st.sampled_from(range(len(dag))))))
    jobs = data.draw(st.integers(1, 3))
    schedule = Schedule(wanted, dag)
    running: list[int] = []
    patience = dict.fromkeys(wanted, 2)
    blocked: list[tuple[int, int]] = []
    while True:
        while len(running) < jobs and (index := schedule.take()) is not None:
            assert all(schedule.states[dep] in THERE for dep in dag[index] if dep in wanted)
            running.append(index)
        held = schedule.in_state(State.HELD)
        assert schedule.count(State.RUNNING) == len(running) <= jobs
        assert schedule.in_state(State.RUNNING) == sorted(running)
        if not running and not held:
            break
        index = data.draw(st.sampled_from(running + held))
        if index in held:
            state = data.draw(st.sampled_from([State.READY, State.REUSED]))
        else:
            running.remove(index)
            state = data.draw(st.sampled_from(ANSWERS if patience[index] else [*THERE, *LOST]))
            patience[index] -= state in {State.READY, State.HELD}
        blocked += schedule.move(index, state)

    assert set(schedule.states) == set(wanted)
    assert set(schedule.states.values()) <= FINAL
    below: set[int] = set()
    for index in wanted:
        needs = [dep for dep in dag[index] if dep in wanted]
        if any(schedule.states[dep] in LOST or dep in below for dep in needs):
            below.add(index)
    assert set(schedule.in_state(State.BLOCKED)) == below
    assert sorted(index for index, _ in blocked) == sorted(below)
    assert all(schedule.states[by] in LOST for _, by in blocked)
    assert all(schedule.count(s) == len(schedule.in_state(s)) for s in State)


def test_the_longest_chain_starts_first() -> None:
    """Two workers must not leave the long chain for last."""
    dag: Dag = ((), (), (1,), (2,), ())
    schedule = Schedule(range(5), dag)
    assert [schedule.take(), schedule.take(), schedule.take(), schedule.take()] == [1, 0, 4, None]
    schedule.move(1, State.SUCCEEDED)
    assert schedule.take() == 2


def test_the_slowest_chain_starts_first_where_that_is_known() -> None:
    """Else the step of nine hours is started last, and one machine works while seven wait."""
    dag: Dag = ((), (), (1,), (), ())
    schedule = Schedule(range(5), dag, {0: 1.0, 1: 2.0, 2: 2.0, 3: 60.0})  # of 4 nothing is known
    assert [schedule.take() for _ in range(5)] == [3, 1, 4, 0, None]


def test_what_is_not_built_in_this_run_is_taken_for_there() -> None:
    schedule = Schedule([2], ((), (0,), (1,)))
    assert schedule.take() == 2


def test_a_retried_target_waits_its_turn_again() -> None:
    schedule = Schedule([0, 1], ((), (0,)))
    assert schedule.take() == 0
    assert schedule.move(0, State.READY) == []
    assert schedule.take() == 0
    schedule.move(0, State.SUCCEEDED)
    assert schedule.take() == 1


LEGAL = {
    (State.PENDING, State.READY), (State.PENDING, State.BLOCKED), (State.READY, State.RUNNING),
    (State.RUNNING, State.READY), (State.RUNNING, State.HELD), (State.HELD, State.READY),
    (State.HELD, State.REUSED),
    *((State.RUNNING, state) for state in THERE | LOST),
}  # fmt: skip
WAYS: dict[State, list[State]] = {
    State.READY: [], State.RUNNING: [State.RUNNING], State.HELD: [State.RUNNING, State.HELD],
    **{state: [State.RUNNING, state] for state in THERE | LOST},
}  # fmt: skip


STARTS = sorted(WAYS, key=lambda state: state.value)


@pytest.mark.parametrize("before", STARTS, ids=lambda state: state.name)
def test_a_transition_that_the_drawing_does_not_show_is_a_bug(before: State) -> None:
    for after in State:
        if (before, after) in LEGAL:
            continue
        schedule = Schedule([0], ((),))
        for state in WAYS[before]:
            schedule.move(0, state)
        with pytest.raises((AssertionError, KeyError)):
            schedule.move(0, after)
        assert schedule.states[0] is before
