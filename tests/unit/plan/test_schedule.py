"""No step before what it needs; none forgotten; none run after what it needs has failed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from marin_build.plan.capacity import Limits
from marin_build.plan.outcomes import (
    Blocked,
    Failed,
    Held,
    Interrupted,
    Reused,
    Stopped,
    Succeeded,
)
from marin_build.plan.schedule import STATES, Open, Schedule

if TYPE_CHECKING:
    from hypothesis.strategies import SearchStrategy

    from marin_build.plan.schedule import State
    from tests.unit.conftest import Dag

THERE: set[State] = {Succeeded, Reused}
LOST: set[State] = {Failed, Stopped, Interrupted}
FINAL: set[State] = THERE | LOST | {Blocked}
ANSWERS: list[State] = [*THERE, *LOST, Open.READY, Held, Open.DELAYED]
OK, BAD = Succeeded(1, 1.0), Failed(1, 1, "no")
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
        if (ready := schedule.in_state(Open.READY)) and len(running) < jobs:
            first = min(ready, key=place.__getitem__)
            taken = [dict(needs[i]) for i in running]
            kept.setdefault(first, set()).update(
                name for name, amount in needs[first]
                if amount + sum(one.get(name, 0) for one in taken) > amounts[name]
            )  # fmt: skip
            assert kept[first], "there was enough for it"
        held = schedule.in_state(Held) + schedule.in_state(Open.DELAYED)
        assert running or not schedule.count(Open.READY), "nobody starts what could"
        assert schedule.count(Open.RUNNING) == len(running) <= jobs
        assert schedule.in_state(Open.RUNNING) == sorted(running)
        if not running and not held:
            break
        index = data.draw(st.sampled_from(running + held))
        if index in held:
            ways: list[State] = [Open.READY, Reused]
            delayed = schedule.states[index] is Open.DELAYED
            state: State = Open.READY if delayed else data.draw(st.sampled_from(ways))
        else:
            running.remove(index)
            state = data.draw(st.sampled_from(ANSWERS if patience[index] else [*THERE, *LOST]))
            patience[index] -= state in {Open.READY, Held, Open.DELAYED}
        blocked += schedule.move(index, state)

    assert set(schedule.states) == set(wanted)
    assert set(schedule.states.values()) <= FINAL
    below: set[int] = set()
    for index in wanted:
        above = [dep for dep in dag[index] if dep in wanted]
        if any(schedule.states[dep] in LOST or dep in below for dep in above):
            below.add(index)
    assert set(schedule.in_state(Blocked)) == below
    assert sorted(index for index, _ in blocked) == sorted(below)
    assert all(schedule.states[by] in LOST for _, by in blocked)
    assert all(schedule.count(s) == len(schedule.in_state(s)) for s in STATES)


def test_the_longest_chain_starts_first() -> None:
    """Two workers must not leave the long chain for last."""
    dag: Dag = ((), (), (1,), (2,), ())
    schedule = Schedule(range(5), dag)
    assert [schedule.take(), schedule.take(), schedule.take(), schedule.take()] == [1, 0, 4, None]
    schedule.move(1, Succeeded)
    assert schedule.take() == 2


def test_the_slowest_chain_starts_first_where_that_is_known() -> None:
    """Else the step of nine hours is started last, and one machine works while seven wait."""
    dag: Dag = ((), (), (1,), (), ())
    schedule = Schedule(range(5), dag, {0: 1.0, 1: 2.0, 2: 2.0, 3: 60.0})  # of 4 nothing is known
    assert [schedule.take() for _ in range(5)] == [3, 1, 4, 0, None]


def test_what_is_not_built_in_this_run_is_taken_for_there() -> None:
    schedule = Schedule([2], ((), (0,), (1,)))
    assert schedule.take() == 2


@given(data=st.data())
def test_what_is_added_later_ends_as_if_it_had_been_there_from_the_start(
    data: st.DataObject, dags: SearchStrategy[Dag]
) -> None:
    """Else a program that declares its steps as it goes builds other ones than a pipeline."""
    dag = data.draw(dags)
    lost = data.draw(st.sets(st.sampled_from(range(len(dag)))))
    at_once = data.draw(st.integers(1, 4))  # so many are added before the next ones are built
    whole, grown = Schedule(range(len(dag)), dag), Schedule()

    def build() -> None:
        while (index := grown.take()) is not None:
            assert all(grown.states[dep] in THERE for dep in dag[index])
            grown.end(index, BAD if index in lost else OK)

    for index, needs in enumerate(dag):
        grown.add(index, needs)
        if index % at_once == 0:
            build()
    build()
    while (taken := whole.take()) is not None:
        whole.end(taken, BAD if taken in lost else OK)
    assert grown.states == whole.states


def test_what_is_added_starts_in_its_order_after_what_was_there() -> None:
    schedule = Schedule([0], ((),))
    for index in (1, 2, 3):
        schedule.add(index, [])
    assert _take_all(schedule) == [0, 1, 2, 3]


def test_what_is_added_below_a_failure_is_blocked_at_once() -> None:
    schedule = Schedule([0, 1], ((), ()))
    assert _take_all(schedule) == [0, 1]
    schedule.end(1, Stopped("no"))
    assert schedule.add(2, [0, 1]) == [(2, 1)]
    assert schedule.add(3, [2]) == [(3, 2)]
    schedule.end(0, Succeeded(1, 1.0))
    assert schedule.states == {0: Succeeded, 1: Stopped, 2: Blocked, 3: Blocked}


def test_a_failure_with_another_try_is_none_yet() -> None:
    """Else what needs the step is given up while it is tried again."""
    schedule = Schedule([0, 1], ((), (0,)))
    for wait, state in ((0.0, Open.READY), (2.0, Open.DELAYED)):
        assert schedule.take() == 0
        assert schedule.end(0, Failed(1, 1, "no", retry_in=wait)) == []
        assert schedule.states[0] is state
        if state is Open.DELAYED:
            schedule.move(0, Open.READY)
    assert schedule.take() == 0
    assert schedule.end(0, Failed(1, 1, "no")) == [(1, 0)]


def test_a_retried_target_waits_its_turn_again() -> None:
    schedule = Schedule([0, 1], ((), (0,)))
    assert schedule.take() == 0
    assert schedule.move(0, Open.READY) == []
    assert schedule.take() == 0
    schedule.move(0, Succeeded)
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
    schedule.move(3, Succeeded)
    assert _take_all(schedule) == []
    schedule.move(0, Succeeded)
    assert _take_all(schedule) == [2]
    assert schedule.was_short(2)
    assert not schedule.was_short(5)


def test_small_ones_do_not_overtake_a_large_one_for_ever() -> None:
    """Else the step that needs all the memory starts when all others are done."""
    schedule = _of("a1", "a1", "a2", "a1", "a1", a=2)
    assert _take_all(schedule) == [0, 1]
    schedule.move(0, Succeeded)
    assert _take_all(schedule) == [], "what is free is kept for the large one"
    schedule.move(1, Succeeded)
    assert _take_all(schedule) == [2]
    schedule.move(2, Succeeded)
    assert _take_all(schedule) == [3, 4]


def test_what_a_target_lacked_is_kept_although_it_lacks_something_else_by_now() -> None:
    """Else two streams of small steps take turns in overtaking the one that needs both."""
    schedule = _of("a1", "a1 b1", "b1", "a1", "b1", a=1, b=1)
    assert _take_all(schedule) == [0, 2], "it lacks a: b is free for others"
    schedule.move(0, Succeeded)
    assert _take_all(schedule) == [], "now it lacks b, and a stays kept"
    schedule.move(2, Succeeded)
    assert _take_all(schedule) == [1]


def test_what_is_tried_again_later_holds_nothing() -> None:
    """Else a step that waits a minute for its next try keeps the machine idle."""
    schedule = _of("a1", "a1", a=1)
    assert _take_all(schedule) == [0]
    schedule.move(0, Open.DELAYED)
    assert _take_all(schedule) == [1]
    schedule.move(0, Open.READY)
    assert _take_all(schedule) == []
    schedule.move(1, Succeeded)
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
            index = schedule.in_state(Open.RUNNING)[0]
            schedule.move(index, Succeeded)
    assert compared < 100 * 60


LEGAL: set[tuple[State, State]] = {
    (Open.PENDING, Open.READY), (Open.PENDING, Blocked), (Open.READY, Open.RUNNING),
    (Open.RUNNING, Open.READY), (Open.RUNNING, Held), (Held, Open.READY),
    (Open.RUNNING, Open.DELAYED), (Open.DELAYED, Open.READY),
    (Held, Reused),
    *((Open.RUNNING, state) for state in THERE | LOST),
}  # fmt: skip
WAYS: dict[State, list[State]] = {
    Open.READY: [], Open.RUNNING: [Open.RUNNING], Held: [Open.RUNNING, Held],
    Open.DELAYED: [Open.RUNNING, Open.DELAYED],
    **{state: [Open.RUNNING, state] for state in THERE | LOST},
}  # fmt: skip


STARTS = [state for state in STATES if state in WAYS]


@pytest.mark.parametrize(
    "before", STARTS, ids=lambda state: getattr(state, "name", None) or state.__name__
)
def test_a_transition_that_the_drawing_does_not_show_is_a_bug(before: State) -> None:
    for after in STATES:
        if (before, after) in LEGAL:
            continue
        schedule = Schedule([0], ((),))
        for state in WAYS[before]:
            schedule.move(0, state)
        with pytest.raises((AssertionError, KeyError)):
            schedule.move(0, after)
        assert schedule.states[0] is before
