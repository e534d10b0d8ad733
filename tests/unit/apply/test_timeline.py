"""Who ran where, and what the end really waited for."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from marin_build.apply.timeline import Link, Placed, Timeline

if TYPE_CHECKING:
    from hypothesis.strategies import SearchStrategy

    from tests.unit.conftest import Dag


def test_a_chain_is_its_own_critical_path() -> None:
    course = Timeline(3, 4)
    assert course.start(0, (), 0.1) == Placed(1, None, 0.0)
    course.end(0, 2.0)
    assert course.start(1, (0,), 2.1) == Placed(1, 0, 0.0)
    course.end(1, 3.0)
    assert course.start(2, (0, 1), 3.1) == Placed(1, 1, 0.0)
    course.end(2, 4.0)
    path = course.critical_path()
    assert [link.index for link in path] == [0, 1, 2]
    assert [link.seconds for link in path] == pytest.approx([2.0, 1.0, 0.9])


def test_who_found_no_slot_waited_for_the_one_before_it_in_its_slot() -> None:
    """Else people shorten a step that nobody waited for, instead of taking more slots."""
    course = Timeline(4, 2)
    course.start(0, (), 0.0)
    course.start(1, (), 0.0)
    course.end(0, 1.0)
    assert course.start(2, (0,), 1.0) == Placed(1, 0, 0.0)
    course.end(1, 3.0)
    assert course.start(3, (0,), 3.0) == Placed(2, 1, 2.0)
    course.end(2, 4.0)
    course.end(3, 9.0)
    assert course.critical_path() == [Link(1, 3.0), Link(3, 6.0)]


def test_a_free_slot_is_nobodys_to_wait_for() -> None:
    course = Timeline(3, 3)
    course.start(0, (), 0.0)
    course.start(1, (), 0.0)
    course.end(0, 1.0)
    course.end(1, 2.0)
    assert course.start(2, (1,), 2.0) == Placed(1, 1, 0.0)


def test_another_try_comes_after_the_first_one_and_is_counted_with_it() -> None:
    course = Timeline(2, 1)
    course.start(0, (), 0.0)
    course.end(0, 1.0)
    assert course.start(0, (), 1.0) == Placed(1, 0, 0.0)
    course.end(0, 5.0)
    course.start(1, (0,), 5.0)
    course.end(1, 6.0)
    assert course.critical_path() == [Link(0, 5.0), Link(1, 1.0)]


def test_who_waited_for_another_run_did_not_wait_for_a_slot() -> None:
    course = Timeline(2, 1)
    course.start(0, (), 0.0)
    course.end(0, 0.1)  # somebody else holds it
    course.start(1, (), 0.1)
    course.end(1, 2.0)
    course.release(0, 7.0)
    assert course.start(0, (), 7.0) == Placed(1, 0, 0.0)


def test_nothing_ran() -> None:
    assert Timeline(3, 2).critical_path() == []
    assert Timeline(0, 2).critical_path() == []


def test_the_three_slowest_attempts() -> None:
    course = Timeline(9, 1)
    for index, seconds in enumerate([1.0, 9.0, 3.0, 2.0, 8.0]):
        course.took(index, seconds)
    assert course.slowest() == [Link(1, 9.0), Link(4, 8.0), Link(2, 3.0)]


@given(data=st.data())
def test_the_critical_path_fills_the_time_from_its_first_start_to_the_end(
    data: st.DataObject, dags: SearchStrategy[Dag]
) -> None:
    """Else its parts do not add up to what people waited."""
    dag, jobs = data.draw(dags), data.draw(st.integers(1, 3))
    course, now = Timeline(len(dag), jobs), 0.0
    missing, running, slots = dict.fromkeys(range(len(dag))), set[int](), dict[int, int]()
    done: set[int] = set()
    began: dict[int, float] = {}
    while len(done) < len(dag):
        for index in list(missing):
            if len(running) < jobs and set(dag[index]) <= done:
                del missing[index]
                placed = course.start(index, dag[index], now)
                assert placed.slot not in {slots[other] for other in running}
                slots[index], began[index] = placed.slot, now
                assert (placed.after is None) == (now == 0.0)
                running.add(index)
        now += data.draw(st.integers(1, 5))
        ended = data.draw(st.sampled_from(sorted(running)))
        running.remove(ended)
        done.add(ended)
        course.end(ended, now)
    path = course.critical_path()
    assert began[path[0].index] == 0.0, "whoever starts later has waited for somebody"
    assert sum(link.seconds for link in path) == now
    assert all(link.seconds > 0 for link in path)
