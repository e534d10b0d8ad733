"""Judging somebody else's lease: too early builds a target twice, too late leaves it for ever."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from marin_build.protocol.lease import FOREIGN_TIME_TO_LIVE, TIME_TO_LIVE, Lease
from marin_build.protocol.look import Watch

OURS = Lease("ada@far", 5.0, nonce="n")
MARINS = Lease("host-3-17", 5.0)


def test_a_lease_that_stands_still_is_stale_after_its_time_and_not_before() -> None:
    for lease, life in ((OURS, TIME_TO_LIVE), (MARINS, FOREIGN_TIME_TO_LIVE)):
        watch = Watch(lease, "v1", 100.0)
        assert not watch.is_stale(100.0 + life)
        assert watch.is_stale(100.0 + life + 0.001)
        assert watch.unchanged_for(107.0) == 7.0


def test_looking_at_a_lease_that_stands_still_does_not_begin_anew() -> None:
    watch = Watch(OURS, "v1", 0.0)
    for second in range(1, int(TIME_TO_LIVE) + 1):
        assert not watch.look(OURS, "v1", float(second))
    assert watch.is_stale(TIME_TO_LIVE + 1)


def test_only_the_version_counts_and_never_the_time_in_the_lease() -> None:
    """The holder's clock may be wrong by years."""
    watch = Watch(OURS, "v1", 0.0)
    assert not watch.look(replace(OURS, timestamp=1e10), "v1", 30.0)
    assert watch.look(OURS, "v2", 50.0)
    assert watch.version == "v2"
    assert not watch.is_stale(50.0 + TIME_TO_LIVE)


def test_who_takes_over_is_given_the_time_that_is_his() -> None:
    watch = Watch(OURS, "v1", 0.0)
    watch.look(MARINS, "v2", 10.0)
    assert not watch.is_stale(10.0 + FOREIGN_TIME_TO_LIVE)
    watch.look(OURS, "v3", 20.0)
    assert watch.is_stale(20.0 + TIME_TO_LIVE + 1)


@given(st.lists(st.tuples(st.floats(0, 40), st.sampled_from(["v1", "v2", "v3"])), max_size=20))
def test_a_lease_is_stale_exactly_if_no_change_was_seen_for_its_time(
    looks: list[tuple[float, str]],
) -> None:
    watch, now, changed, version = Watch(OURS, "v0", 0.0), 0.0, 0.0, "v0"
    for later, found in looks:
        now += later
        assert watch.look(OURS, found, now) == (found != version)
        if found != version:
            changed, version = now, found
        assert watch.is_stale(now) == (now - changed > TIME_TO_LIVE)
