"""No step before what it needs; none forgotten; none run after what it needs has failed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from marin_build.plan.capacity import Limits
from marin_build.plan.schedule import Schedule, State

if TYPE_CHECKING:
    from hypothesis.strategies import SearchStrategy

    from tests.unit.conftest import Dag

THERE = {State.SUCCEEDED, State.REUSED}
LOST = {State.FAILED, State.STOPPED, State.INTERRUPTED}
FINAL = THERE | LOST | {State.BLOCKED}
ANSWERS = [*THERE, *LOST, State.READY, State.HELD, State.DELAYED]
NAMES = ("cpu", "ram", "api")


def _by_rank(wanted: list[int], dag: Dag) -> list[int]:
    """Return targets in the order in which they start if all were ready: longest chains first."""
    chain: dict[int, int] = {}
    for index in reversed(wanted):
        below = [chain[i] for i in wanted if i > index and index in dag[i]]
        chain[index] = 1 + max(below, default=0)
    return sorted(wanted, key=lambda index: (-chain[index], index))


@given(data=st.data())
def test_every_graph_ends_with_each_target_in_its_right_state(
    data: st.DataObject, dags: SearchStrategy[Dag]
) -> None:
    dag = data.draw(dags)
    wanted = sorted(data.draw(st.sets(st.sampled_from(range(len(dag))))))
    jobs = data.draw(st.integers(1, 3))
    amounts = dict(zip(NAMES, data.draw(st.tuples(*[st.integers(1, 4)] * 3)), strict=True))
    needs = {i: tuple((name, data.draw(st.integers(1, amounts[name])))
                      for name in sorted(data.draw(st.sets(st.sampled_from(NAMES)))))
             for i in wanted}  # fmt: skip
    schedule = Schedule(wanted, dag, limits=Limits(amounts, needs))
    running: list[int] = []
    patience = dict.fromkeys(wanted, 2)
    blocked: list[tuple[int, int]] = []
    place = {index: place for place, index in enumerate(_by_rank(wanted, dag))}
    kept: dict[int, set[str]] = {}  # by target that had to wait, what it lacked
    while True:
        while len(running) < jobs and (index := schedule.take()) is not None:
            kept.pop(index, None)
            for first, names in kept.items():
                assert place[index] < place[first] or names.isdisjoint(dict(needs[index])), (
                    "it overtook one that waits for the same"
                )
            assert all(schedule.states[dep] in THERE for dep in dag[index] if dep in wanted)
            running.append(index)
            for name, there in amounts.items():
                assert sum(dict(needs[i]).get(name, 0) for i in running) <= there, "over budget"
        if (ready := schedule.in_state(State.READY)) and len(running) < jobs:
            first = min(ready, key=place.__getitem__)
            taken = [dict(needs[i]) for i in running]
            kept.setdefault(first, set()).update(
                name for name, amount in needs[first]
                if amount + sum(one.get(name, 0) for one in taken) > amounts[name]
            )  # fmt: skip
            assert kept[first], "there was enough for it"
        held = schedule.in_state(State.HELD) + schedule.in_state(State.DELAYED)
        assert running or not schedule.count(State.READY), "nobody starts what could"
        assert schedule.count(State.RUNNING) == len(running) <= jobs
        assert schedule.in_state(State.RUNNING) == sorted(running)
        if not running and not held:
            break
        index = data.draw(st.sampled_from(running + held))
        if index in held:
            ways = [State.READY, State.REUSED]
            delayed = schedule.states[index] is State.DELAYED
            state = State.READY if delayed else data.draw(st.sampled_from(ways))
        else:
            running.remove(index)
            state = data.draw(st.sampled_from(ANSWERS if patience[index] else [*THERE, *LOST]))
            patience[index] -= state in {State.READY, State.HELD, State.DELAYED}
        blocked += schedule.move(index, state)

    assert set(schedule.states) == set(wanted)
    assert set(schedule.states.values()) <= FINAL
    below: set[int] = set()
    for index in wanted:
        above = [dep for dep in dag[index] if dep in wanted]
        if any(schedule.states[dep] in LOST or dep in below for dep in above):
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


def _of(*needs: str, **amounts: int) -> Schedule:
    """Return a schedule of targets that all are ready, those of lower index first: `a1 b2`."""
    given = {i: tuple((word[0], int(word[1:])) for word in words.split())
             for i, words in enumerate(needs)}  # fmt: skip
    seconds = {i: float(len(needs) - i) for i in given}
    return Schedule(range(len(needs)), ((),) * len(needs), seconds, Limits(amounts, given))


def _take_all(schedule: Schedule) -> list[int]:
    found = []
    while (index := schedule.take()) is not None:
        found.append(index)
    return found


def test_what_lacks_something_lets_those_go_on_that_do_not_need_it() -> None:
    """Else one step that waits for a GPU holds up all that need none."""
    schedule = _of("a2", "a1", "a2 b1", "b1", "b1", "", a=3, b=2)
    assert _take_all(schedule) == [0, 1, 3, 4, 5]
    schedule.move(3, State.SUCCEEDED)
    assert _take_all(schedule) == []
    schedule.move(0, State.SUCCEEDED)
    assert _take_all(schedule) == [2]
    assert schedule.was_short(2)
    assert not schedule.was_short(5)


def test_small_ones_do_not_overtake_a_large_one_for_ever() -> None:
    """Else the step that needs all the memory starts when all others are done."""
    schedule = _of("a1", "a1", "a2", "a1", "a1", a=2)
    assert _take_all(schedule) == [0, 1]
    schedule.move(0, State.SUCCEEDED)
    assert _take_all(schedule) == [], "what is free is kept for the large one"
    schedule.move(1, State.SUCCEEDED)
    assert _take_all(schedule) == [2]
    schedule.move(2, State.SUCCEEDED)
    assert _take_all(schedule) == [3, 4]


def test_what_a_target_lacked_is_kept_although_it_lacks_something_else_by_now() -> None:
    """Else two streams of small steps take turns in overtaking the one that needs both."""
    schedule = _of("a1", "a1 b1", "b1", "a1", "b1", a=1, b=1)
    assert _take_all(schedule) == [0, 2], "it lacks a: b is free for others"
    schedule.move(0, State.SUCCEEDED)
    assert _take_all(schedule) == [], "now it lacks b, and a stays kept"
    schedule.move(2, State.SUCCEEDED)
    assert _take_all(schedule) == [1]


def test_what_is_tried_again_later_holds_nothing() -> None:
    """Else a step that waits a minute for its next try keeps the machine idle."""
    schedule = _of("a1", "a1", a=1)
    assert _take_all(schedule) == [0]
    schedule.move(0, State.DELAYED)
    assert _take_all(schedule) == [1]
    schedule.move(0, State.READY)
    assert _take_all(schedule) == []
    schedule.move(1, State.SUCCEEDED)
    assert _take_all(schedule) == [0]


def test_taking_a_target_does_not_look_at_all_that_are_ready() -> None:
    """Else a fan-out of 100,000 steps takes hours to schedule."""
    count = 20_000
    needs = {i: (("a", 1 + i % 3),) for i in range(count)}
    schedule = Schedule(range(count), ((),) * count, None, Limits({"a": 3}, needs))
    compared = 0

    class Counted(tuple[float, int]):
        __slots__ = ()

        def __lt__(self, other: tuple[Any, ...]) -> bool:
            nonlocal compared
            compared += 1
            return tuple(self) < tuple(other)

    groups = schedule._ready._groups.values()
    for group in groups:
        group.heap = [Counted(entry) for entry in group.heap]
    assert len(list(groups)) == 3
    for _ in range(100):
        index = schedule.take()
        if index is None:
            index = schedule.in_state(State.RUNNING)[0]
            schedule.move(index, State.SUCCEEDED)
    assert compared < 100 * 60


LEGAL = {
    (State.PENDING, State.READY), (State.PENDING, State.BLOCKED), (State.READY, State.RUNNING),
    (State.RUNNING, State.READY), (State.RUNNING, State.HELD), (State.HELD, State.READY),
    (State.RUNNING, State.DELAYED), (State.DELAYED, State.READY),
    (State.HELD, State.REUSED),
    *((State.RUNNING, state) for state in THERE | LOST),
}  # fmt: skip
WAYS: dict[State, list[State]] = {
    State.READY: [], State.RUNNING: [State.RUNNING], State.HELD: [State.RUNNING, State.HELD],
    State.DELAYED: [State.RUNNING, State.DELAYED],
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
