"""What is started first decides how long two machines wait for one."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from marin_build.plan.graph_shape import ranks


@st.composite
def _graphs(draw: st.DrawFn) -> list[tuple[int, ...]]:
    size = draw(st.integers(0, 8))
    return [
        tuple(sorted(draw(st.sets(st.integers(0, i - 1), max_size=3)))) if i else ()
        for i in range(size)
    ]


def _longest(needs: list[tuple[int, ...]], seconds: list[float], start: int) -> float:
    later = [_longest(needs, seconds, i) for i in range(len(needs)) if start in needs[i]]
    return seconds[start] + max(later, default=0.0)


@given(needs=_graphs(), data=st.data())
def test_the_rank_is_the_longest_chain_from_there_on(
    needs: list[tuple[int, ...]], data: st.DataObject
) -> None:
    whole = st.integers(0, 9).map(float)
    seconds = data.draw(st.lists(whole, min_size=len(needs), max_size=len(needs)))
    assert ranks(needs, seconds) == [_longest(needs, seconds, i) for i in range(len(needs))]


@given(needs=_graphs())
def test_without_any_history_it_is_a_number_of_steps(needs: list[tuple[int, ...]]) -> None:
    ones = [1.0] * len(needs)
    assert ranks(needs, [None] * len(needs)) == [_longest(needs, ones, i) for i in range(len(ones))]


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [
        ([5.0, None, 1.0], [5.0, 5.0, 1.0]),
        ([None, 7.0, None], [7.0, 7.0, 7.0]),
        ([0.0, None, 0.0], [0.0, 0.0, 0.0]),
    ],
)
def test_a_new_step_counts_like_the_median_of_the_others(
    seconds: list[float | None], expected: list[float]
) -> None:
    """Else a step that nobody knows is always started last, however long it takes."""
    assert ranks([(), (), ()], seconds) == expected
