"""Renewing a lease: who stops too late works beside another, who stops too early loses work."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

from marin_build.errors import StoreError
from marin_build.protocol.lease import TIME_TO_LIVE, parse_lease
from marin_build.protocol.renewal import MARGIN, RENEW_EVERY, TRY_AGAIN_AFTER, Keeping, Kept
from marin_build.store.local import LocalStore

from .support import LEASE, Clock, Faulty, commit, hold, lease_of

if TYPE_CHECKING:
    from pathlib import Path

    from marin_build.store.base import Blob

LIFE = TIME_TO_LIVE - MARGIN


def _keeping(output: Path, clock: Clock, since: float | None = None) -> Keeping:
    held_since = clock.now if since is None else since
    return Keeping(str(output), "nonce-ada", held_since=held_since, clock=clock)


def _on_disk(output: Path) -> float:
    return parse_lease((output / LEASE).read_bytes(), "p").timestamp


def test_a_lease_is_renewed_at_once_and_then_every_so_often(tmp_path: Path) -> None:
    store, clock = LocalStore(), Clock()
    hold(store, str(tmp_path), clock=clock)
    keeping = _keeping(tmp_path, clock)
    for number in range(5):
        assert keeping.due <= clock.now
        assert keeping.renew(store, 100.0 + number) is Kept.RENEWED
        assert _on_disk(tmp_path) == 100.0 + number
        assert (keeping.due, keeping.deadline) == (clock.now + RENEW_EVERY, clock.now + LIFE)
        clock.now = keeping.due


def test_renewals_come_often_enough_for_some_to_fail() -> None:
    assert MARGIN + 2 * RENEW_EVERY + 5 <= TIME_TO_LIVE
    assert TRY_AGAIN_AFTER < MARGIN < TIME_TO_LIVE


class Slow(LocalStore):
    """A store whose every call takes its time."""

    def __init__(self, clock: Clock, seconds: float) -> None:
        super().__init__()
        self.clock, self.seconds = clock, seconds

    def get(self, path: str) -> Blob | None:
        self.clock.now += self.seconds
        return super().get(path)

    def replace_if(self, path: str, data: bytes, version: str) -> str | None:
        self.clock.now += self.seconds
        done = super().replace_if(path, data, version)
        self.clock.now += self.seconds
        return done


def test_the_deadline_counts_from_the_sending_of_what_was_acknowledged(tmp_path: Path) -> None:
    """Whoever watches may have seen the renewal that long before its reply came back."""
    clock = Clock()
    hold(LocalStore(), str(tmp_path), clock=clock)
    keeping, sent = _keeping(tmp_path, clock), clock.now
    assert keeping.renew(Slow(clock, 7.0), 1.0) is Kept.RENEWED
    assert clock.now == sent + 21.0
    assert (keeping.deadline, keeping.due) == (sent + LIFE, sent + RENEW_EVERY)


def test_a_store_that_is_away_is_asked_again_until_the_deadline(tmp_path: Path) -> None:
    clock, store = Clock(), Faulty()
    hold(store, str(tmp_path), clock=clock)
    keeping, began = _keeping(tmp_path, clock), clock.now
    store.dead = True
    while (kept := keeping.renew(store, 1.0)) is Kept.AWAY:
        assert keeping.due == clock.now + TRY_AGAIN_AFTER
        clock.now = keeping.due
    assert kept is Kept.LOST
    assert LIFE - TRY_AGAIN_AFTER < clock.now - began <= LIFE


def test_a_store_that_comes_back_in_time_costs_nothing(tmp_path: Path) -> None:
    clock, store = Clock(), Faulty()
    hold(store, str(tmp_path), clock=clock)
    keeping = _keeping(tmp_path, clock)
    store.dead = True
    for _ in range(30):
        assert keeping.renew(store, 1.0) is Kept.AWAY
        clock.now = keeping.due
    store.dead = False
    assert keeping.renew(store, 2.0) is Kept.RENEWED
    assert keeping.deadline == clock.now + LIFE


def test_a_laptop_that_slept_keeps_what_nobody_took(tmp_path: Path) -> None:
    """An acknowledged renewal proves that nobody else took it meanwhile."""
    clock, store = Clock(), LocalStore()
    hold(store, str(tmp_path), clock=clock)
    keeping = _keeping(tmp_path, clock)
    clock.now += 100 * TIME_TO_LIVE
    assert keeping.renew(store, 1.0) is Kept.RENEWED


@pytest.mark.parametrize("at", [1, 2])
def test_a_laptop_that_slept_and_finds_no_store_has_lost(tmp_path: Path, at: int) -> None:
    clock, store = Clock(), Faulty()
    hold(store, str(tmp_path), clock=clock)
    keeping = _keeping(tmp_path, clock)
    clock.now += LIFE + 1
    store.at, store.how = len(store.calls) + at, "die"
    assert keeping.renew(store, 1.0) is Kept.LOST


def test_a_lease_that_was_taken_over_is_lost_and_not_touched(tmp_path: Path) -> None:
    clock, store, output = Clock(), LocalStore(), str(tmp_path)
    first = hold(store, output, clock=clock)
    hold(store, output, "bob", stale=first.version)
    before = (tmp_path / LEASE).read_bytes()
    assert _keeping(tmp_path, clock).renew(store, 9.0) is Kept.LOST
    assert (tmp_path / LEASE).read_bytes() == before


def test_whoever_takes_it_over_between_our_read_and_our_write_has_it(tmp_path: Path) -> None:
    clock, store, output = Clock(), Faulty(), str(tmp_path)
    first = hold(store, output, clock=clock)
    store.at = len(store.calls) + 2
    store.before = lambda: hold(LocalStore(), output, "bob", stale=first.version)
    keeping = _keeping(tmp_path, clock)
    assert keeping.renew(store, 9.0) is Kept.AWAY
    assert keeping.renew(store, 9.0) is Kept.LOST


def test_a_reply_that_was_lost_is_made_up_for(tmp_path: Path) -> None:
    clock, store = Clock(), Faulty()
    hold(store, str(tmp_path), clock=clock)
    keeping = _keeping(tmp_path, clock)
    store.at, store.how = len(store.calls) + 2, "forget"
    before = keeping.deadline
    clock.now += 10
    assert keeping.renew(store, 5.0) is Kept.AWAY
    assert keeping.deadline == before, "what was not acknowledged does not count"
    assert keeping.renew(store, 6.0) is Kept.RENEWED


def test_what_its_holder_ended_is_kept_no_longer(tmp_path: Path) -> None:
    clock, store = Clock(), Faulty()
    output = tmp_path / "sealed"
    holding = hold(store, str(output), clock=clock)
    store.at, store.how = len(store.calls) + 3, "die"
    with pytest.raises(StoreError):
        commit(holding)
    before = (output / LEASE).read_bytes()
    assert _keeping(output, clock).renew(LocalStore(), 9.0) is Kept.RELEASED
    assert (output / LEASE).read_bytes() == before, "a renewed seal would be published by nobody"
    assert _keeping(tmp_path / "gone", clock).renew(LocalStore(), 9.0) is Kept.RELEASED


def test_a_lease_that_cannot_be_read_is_looked_at_again_until_the_deadline(tmp_path: Path) -> None:
    clock = Clock()
    (tmp_path / LEASE).write_bytes(b"{")
    keeping = _keeping(tmp_path, clock)
    assert keeping.renew(LocalStore(), 1.0) is Kept.AWAY
    clock.now += LIFE
    assert keeping.renew(LocalStore(), 1.0) is Kept.LOST


@pytest.mark.parametrize("life", [0.6, 6.0, 600.0])
def test_all_times_scale_with_the_time_to_live(tmp_path: Path, life: float) -> None:
    clock, store = Clock(), Faulty()
    hold(store, str(tmp_path), clock=clock)
    scale, began = life / TIME_TO_LIVE, clock.now
    keeping = Keeping(str(tmp_path), "nonce-ada", held_since=began, clock=clock, time_to_live=life)
    assert keeping.deadline == pytest.approx(began + LIFE * scale)
    assert keeping.renew(store, 1.0) is Kept.RENEWED
    assert keeping.due == pytest.approx(began + RENEW_EVERY * scale)
    store.dead = True
    assert keeping.renew(store, 1.0) is Kept.AWAY
    assert keeping.due == pytest.approx(began + TRY_AGAIN_AFTER * scale)


def test_a_renewal_changes_the_time_and_nothing_else(tmp_path: Path) -> None:
    store, clock = LocalStore(), Clock()
    holding = hold(store, str(tmp_path), clock=clock)
    _keeping(tmp_path, clock).renew(store, 77.0)
    found = parse_lease((tmp_path / LEASE).read_bytes(), "p")
    assert found == holding.lease.renewed(77.0)
    assert found.nonce == lease_of().nonce


def test_a_watcher_never_finds_stale_what_is_still_worked_under(tmp_path: Path) -> None:
    """The keeper's deadline, counted from sending, comes before the watcher's, from seeing."""
    clock = Clock(time.monotonic())
    hold(LocalStore(), str(tmp_path), clock=clock)
    keeping = _keeping(tmp_path, clock)
    assert keeping.renew(Slow(clock, 3.0), 1.0) is Kept.RENEWED
    # The earliest instant at which anybody can have seen the renewal is when it was written.
    earliest_stale = clock.now - 3.0 + TIME_TO_LIVE
    assert keeping.deadline + MARGIN <= earliest_stale
