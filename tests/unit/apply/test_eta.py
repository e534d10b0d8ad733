"""What people are told to wait for."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from marin_build.apply.eta import Eta

CHAIN = [(), (0,), (1,)]
APART: list[tuple[int, ...]] = [(), (), ()]


@pytest.mark.parametrize(
    ("needs", "seconds", "slots", "expected"),
    [
        (CHAIN, [10.0, 20.0, 30.0], 8, 60.0),  # no number of slots shortens a chain
        (APART, [10.0, 20.0, 30.0], 8, 30.0),
        (APART, [10.0, 20.0, 30.0], 1, 60.0),
        (APART, [10.0, None, 30.0], 1, 70.0),  # the one nobody knows counts like the median
        (APART, [None, None, None], 1, None),
        (APART, [0.0, 0.0, 0.0], 1, 0.0),
    ],
)
def test_it_is_the_longest_chain_or_all_the_work(
    needs: list[tuple[int, ...]], seconds: list[float | None], slots: int, expected: float | None
) -> None:
    assert Eta(needs, seconds).remaining(0.0, slots) == expected


def test_what_runs_counts_down_with_all_that_waits_for_it() -> None:
    """Else the time that is left stands still while the longest step runs."""
    eta = Eta(CHAIN, [10.0, 20.0, 30.0])
    eta.start(0, 100.0)
    assert eta.remaining(104.0, 4) == 56.0
    assert eta.remaining(999.0, 4) == 50.0  # late, but what follows it takes no less
    eta.end(0)
    assert eta.remaining(1000.0, 4) == 50.0


def test_an_attempt_that_failed_is_made_again_from_the_start() -> None:
    eta = Eta([()], [10.0])
    eta.start(0, 0.0)
    eta.put_back(0)
    assert eta.remaining(9.0, 1) == 10.0
    eta.start(0, 20.0)
    assert eta.remaining(21.0, 1) == 9.0


def test_when_nothing_more_is_started_only_what_runs_is_waited_for() -> None:
    """Else after a failure people wait for steps that will not be started."""
    eta = Eta(APART, [10.0, 20.0, 30.0])
    eta.start(0, 0.0)
    assert eta.remaining(4.0, 1, only_running=True) == 6.0
    eta.end(0)
    assert eta.remaining(4.0, 1, only_running=True) == 0.0


_SECONDS = st.none() | st.floats(0.0, 1e6)


@st.composite
def _works(draw: st.DrawFn) -> tuple[list[tuple[int, ...]], list[float | None]]:
    size = draw(st.integers(1, 8))
    needs = [
        tuple(sorted(draw(st.sets(st.integers(0, i - 1), max_size=3)))) if i else ()
        for i in range(size)
    ]
    return needs, draw(st.lists(_SECONDS, min_size=size, max_size=size))


@given(work=_works(), slots=st.integers(1, 3), data=st.data())
def test_it_falls_as_time_passes_and_is_0_when_all_is_done(
    work: tuple[list[tuple[int, ...]], list[float | None]], slots: int, data: st.DataObject
) -> None:
    """Else people see a negative time, or one that grows although nothing happens."""
    needs, seconds = work
    eta, now = Eta(needs, seconds), 0.0
    for step in data.draw(st.permutations(range(len(needs)))):
        for act in data.draw(st.lists(st.sampled_from([eta.put_back, eta.end]), max_size=2)):
            eta.start(step, now)
            act(step)
        eta.start(step, now)
        later = sorted(data.draw(st.lists(st.floats(now, now + 2e6), min_size=2, max_size=4)))
        left = [eta.remaining(at, slots) for at in later]
        if all(value is None for value in seconds):
            assert left == [None] * len(later)
        else:
            told = [value for value in left if value is not None]
            assert len(told) == len(later)
            assert min(told) >= 0
            assert all(sooner >= after for sooner, after in pairwise(told))
        now = later[-1]
        eta.end(step)
    assert eta.remaining(now, slots) in (None, 0.0)
