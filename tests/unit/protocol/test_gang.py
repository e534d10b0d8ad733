"""A gang: ranks work only under a lease that lives, and the leader seals what all ended well."""

from __future__ import annotations

import pytest

from marin_build.errors import CorruptStateError, StoreError
from marin_build.protocol.gang import (
    RankEnd,
    RankWatch,
    Standing,
    Verdict,
    end_path,
    gang_lease,
    look_as_rank,
    read_ends,
    stop_ranks,
    verdict,
    write_end,
    write_start,
)
from marin_build.protocol.lease import TIME_TO_LIVE, Lease
from marin_build.protocol.renewal import MARGIN
from marin_build.store.memory import MemoryStore

LAUNCH = "slurm-4711.2"
OURS = Lease("u@h", 0.0, run="r", attempt=3, nonce=LAUNCH)
OTHERS = Lease("u@g", 0.0, run="r", attempt=4, nonce="slurm-4711.3")
AGE = TIME_TO_LIVE - MARGIN
OUT = "mem://t"


def _end(rank: int, exit_code: int = 0, launch: str = LAUNCH) -> RankEnd:
    return RankEnd(launch=launch, attempt=3, rank=rank, exit_code=exit_code)


def test_a_rank_waits_for_a_lease_of_its_launch() -> None:
    watch = RankWatch(LAUNCH)
    assert watch.look(None, "", 0.0) is Standing.WAIT
    assert watch.look(OTHERS, "1", 5.0) is Standing.WAIT
    assert watch.look(OURS, "2", 10.0) is Standing.WORK
    assert watch.attempt == 3


def test_a_lease_counts_from_the_last_look_that_did_not_show_it() -> None:
    watch = RankWatch(LAUNCH)
    watch.look(None, "", 0.0)
    watch.look(OURS, "1", 5.0)
    assert watch.deadline == AGE
    watch.look(OURS, "1", 10.0)
    assert watch.deadline == AGE
    watch.look(OURS, "2", 20.0)
    assert watch.deadline == 10.0 + AGE
    assert not watch.is_over(10.0 + AGE - 0.1)
    assert watch.is_over(10.0 + AGE)


def test_a_lease_of_unknown_age_must_be_renewed_before_a_rank_starts() -> None:
    watch = RankWatch(LAUNCH)
    assert watch.look(OURS, "1", 100.0) is Standing.WAIT
    assert watch.look(OURS, "1", 105.0) is Standing.WAIT
    assert watch.look(OURS, "2", 110.0) is Standing.WORK
    assert watch.deadline == 105.0 + AGE


@pytest.mark.parametrize(
    "lease", [None, OTHERS, OURS.sealed("digest", 1.0)], ids=["gone", "another's", "sealed"]
)
def test_a_rank_stops_when_the_lease_changes(lease: Lease | None) -> None:
    watch = RankWatch(LAUNCH)
    watch.look(None, "", 0.0)
    assert watch.look(OURS, "1", 5.0) is Standing.WORK
    assert watch.look(lease, "2", 10.0) is Standing.STOP


def test_a_rank_stops_when_nobody_renews() -> None:
    watch = RankWatch(LAUNCH)
    watch.look(None, "", 0.0)
    assert watch.look(OURS, "1", 5.0) is Standing.WORK
    assert watch.look(OURS, "1", AGE - 0.1) is Standing.WORK
    assert watch.look(OURS, "1", AGE) is Standing.STOP


def test_a_rank_that_slept_stops_because_what_it_sees_may_be_old() -> None:
    watch = RankWatch(LAUNCH)
    watch.look(None, "", 0.0)
    watch.look(OURS, "1", 5.0)
    assert watch.look(OURS, "9", 500.0) is Standing.STOP


@pytest.mark.parametrize(
    ("ends", "means"),
    [
        ([_end(0), _end(1)], Verdict.SUCCEEDED),
        ([_end(0), None], Verdict.OPEN),
        ([_end(0, 1), None], Verdict.FAILED),
        ([None, None], Verdict.OPEN),
    ],
)
def test_the_verdict(ends: list[RankEnd | None], means: Verdict) -> None:
    assert verdict(ends) is means


def test_ends_are_written_once() -> None:
    store = MemoryStore()
    assert write_end(store, OUT, _end(0))
    assert write_end(store, OUT, _end(0))
    assert not write_end(store, OUT, _end(0, exit_code=1))
    assert store.list(f"{OUT}/.logs") == []
    assert read_ends(store, OUT, launch=LAUNCH, attempt=3, ranks=(0, 1)) == [_end(0), None]


def test_ends_of_another_launch_do_not_count() -> None:
    store = MemoryStore()
    write_end(store, OUT, _end(1, launch="slurm-4711.1"))
    assert read_ends(store, OUT, launch=LAUNCH, attempt=3, ranks=(0, 1)) == [None, None]


def test_an_unreadable_end_is_an_error_that_names_it() -> None:
    store = MemoryStore()
    store.put(end_path(OUT, 3, 0), b"{")
    with pytest.raises(CorruptStateError, match="rank-0"):
        read_ends(store, OUT, launch=LAUNCH, attempt=3, ranks=[0])


def _led(*, has_begun: bool = True) -> tuple[MemoryStore, RankWatch]:
    """Return a store with a leader's lease, and what a rank knows that looked before."""
    store, watch = MemoryStore(), RankWatch(LAUNCH)
    assert look_as_rank(store, OUT, watch, lambda: 0.0) is Standing.WAIT
    store.put(f"{OUT}/.executor_status.lock", OURS.encode())
    if has_begun:
        write_start(store, OUT, launch=LAUNCH, attempt=3)
    return store, watch


def test_ranks_wait_until_the_leader_has_opened_the_attempt_and_cleared() -> None:
    store, watch = _led(has_begun=False)
    assert look_as_rank(store, OUT, watch, lambda: 5.0) is Standing.WAIT
    write_start(store, OUT, launch=LAUNCH, attempt=3)
    assert look_as_rank(store, OUT, watch, lambda: 10.0) is Standing.WORK


def test_no_launch_starts_under_the_number_of_another() -> None:
    store, watch = _led(has_begun=False)
    assert write_start(store, OUT, launch="slurm-4711.1", attempt=3)
    assert not write_start(store, OUT, launch=LAUNCH, attempt=3)
    assert look_as_rank(store, OUT, watch, lambda: 5.0) is Standing.WAIT


def test_ranks_stop_when_the_leader_says_that_it_failed() -> None:
    store, watch = _led()
    assert look_as_rank(store, OUT, watch, lambda: 5.0) is Standing.WORK
    write_end(store, OUT, _end(0, exit_code=1))
    assert look_as_rank(store, OUT, watch, lambda: 10.0) is Standing.STOP


def test_ranks_go_on_when_the_leader_is_ready_before_them() -> None:
    store, watch = _led()
    write_end(store, OUT, _end(0))
    assert look_as_rank(store, OUT, watch, lambda: 5.0) is Standing.WORK


def test_a_gang_lease_names_no_process() -> None:
    lease = gang_lease(Lease("u@h", 0.0, run="r", nonce="x", boot="b", pid=7, start=9), LAUNCH)
    assert lease == Lease("u@h", 0.0, run="r", nonce=LAUNCH)


class _Away(MemoryStore):
    """A store that cannot be written to."""

    def put_if_absent(self, path: str, data: bytes) -> str | None:
        raise StoreError(f"cannot write `{path}`")


def _stop(store: MemoryStore, ends: list[RankEnd]) -> tuple[bool, float]:
    """Stop ranks 1 and 2, one of whose ends appears at every wait; return also the seconds."""
    now = 0.0

    def wait(seconds: float) -> None:
        nonlocal now
        now += seconds
        if ends:
            write_end(store, OUT, ends.pop(0))

    done = stop_ranks(store, OUT, _end(0, 1), (1, 2), clock=lambda: now, wait=wait)
    return done, now


def test_a_leader_that_failed_waits_until_the_ranks_have_stopped() -> None:
    assert _stop(MemoryStore(), [_end(1, 143), _end(2)]) == (True, 2.0)


def test_a_leader_does_not_wait_for_dead_ranks_longer_than_a_lease_lives() -> None:
    done, seconds = _stop(MemoryStore(), [])
    assert done
    assert TIME_TO_LIVE < seconds < TIME_TO_LIVE + 10


def test_a_leader_that_cannot_tell_its_ranks_must_leave_the_lease() -> None:
    done, seconds = _stop(_Away(), [])
    assert not done
    assert seconds > TIME_TO_LIVE
