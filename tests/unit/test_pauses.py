"""Waits between tries: short at first, never endless, and not the same for all."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from marin_build.pauses import doubled, spread


def test_each_wait_is_twice_as_long_up_to_the_longest() -> None:
    """Else a store that is away is asked all the time, or not again when it is back."""
    assert [doubled(number, 0.5, 8.0) for number in range(1, 8)] == [0.5, 1, 2, 4, 8, 8, 8]


@given(number=st.integers(1, 10**9), first=st.floats(0, 1e300), longest=st.floats(0, 1e300))
def test_no_wait_is_longer_than_the_longest_whatever_the_number(
    number: int, first: float, longest: float
) -> None:
    """Else a run that tries for days ends with an overflow."""
    assert 0 <= doubled(number, first, longest) <= longest


def test_waits_differ_by_at_most_a_half() -> None:
    """Else a thousand steps that one outage failed come back in the same second."""
    waits = {spread(8.0) for _ in range(50)}
    assert len(waits) > 1
    assert all(4 <= wait <= 8 for wait in waits)
