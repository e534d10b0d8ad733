"""A path lock: two builders on one path at once spoil an output and pay for it twice."""

from __future__ import annotations

import json
import threading
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from marin_build.errors import PreviousTaskFailedError, StoppedError, StoreError
from marin_build.protocol.lease import FOREIGN_TIME_TO_LIVE, TIME_TO_LIVE, Lease
from marin_build.protocol.path_lease import Clocks
from marin_build.protocol.path_lock import PathLock
from marin_build.store.memory import MemoryStore

if TYPE_CHECKING:
    from collections.abc import Callable

OUTPUT = "/out/a"
LOCK, STATUS = f"{OUTPUT}/.executor_status.lock", f"{OUTPUT}/.executor_status"


class World:
    """A store, and clocks that only go on when somebody waits."""

    def __init__(self) -> None:
        self.store = MemoryStore()
        self.time = 1000.0
        self.while_waiting: Callable[[], None] = lambda: None
        self.dead: set[str] = set()

    def lock(self, name: str) -> PathLock:
        clocks = Clocks(self.now, self.now, self.now, self.wait)
        lease = Lease(name, 0.0, nonce=name)
        return PathLock(
            self.store, OUTPUT, lease, lambda lease: lease.nonce in self.dead, clocks=clocks
        )

    def now(self) -> float:
        return self.time

    def wait(self, seconds: float) -> None:
        self.time += seconds
        self.while_waiting()

    def holder(self) -> str | None:
        blob = self.store.get(LOCK)
        return None if blob is None else json.loads(blob.data)["worker_id"].split(" ")[0]


@pytest.fixture
def world() -> World:
    return World()


def test_a_lock_is_one_builders_until_it_is_released(world: World) -> None:
    ada, bob = world.lock("ada"), world.lock("bob")
    assert ada.try_acquire()
    assert not bob.try_acquire()
    assert (ada.is_held_by_other(), bob.is_held_by_other()) == (False, True)
    bob.release()
    assert world.holder() == "ada"
    ada.release()
    assert bob.try_acquire()


def test_marin_can_read_the_lock(world: World) -> None:
    assert world.lock("ada").try_acquire()
    blob = world.store.get(LOCK)
    assert blob is not None
    assert set(json.loads(blob.data)) == {"worker_id", "timestamp"}


@pytest.mark.parametrize("presume_free", [True, False])
def test_what_somebody_finished_is_not_built_again(world: World, presume_free: bool) -> None:
    world.store.put(STATUS, b"SUCCESS")
    assert not world.lock("ada").acquire(presume_free=presume_free)
    assert world.holder() is None
    assert world.lock("ada").acquire(presume_free=presume_free, rebuild=True)


@pytest.mark.parametrize("status", [b"FAILED", b"DEP_FAILED"])
@pytest.mark.parametrize("presume_free", [True, False])
def test_what_failed_is_tried_again_only_if_that_is_wanted(
    world: World, status: bytes, presume_free: bool
) -> None:
    world.store.put(STATUS, status)
    with pytest.raises(PreviousTaskFailedError, match=f"failed before: {status.decode()}"):
        world.lock("ada").acquire(rerun_failed=False, presume_free=presume_free)
    assert world.holder() is None
    assert world.lock("ada").acquire(presume_free=presume_free)


def test_who_waits_is_told_that_the_other_finished(world: World) -> None:
    ada = world.lock("ada")
    assert ada.acquire()

    def finish() -> None:
        world.store.put(STATUS, b"SUCCESS")
        ada.release()

    world.while_waiting = finish
    assert not world.lock("bob").acquire(presume_free=True)


def test_a_lock_that_stands_still_is_taken_over_after_its_time_to_live(world: World) -> None:
    assert world.lock("ada").acquire()
    began = world.time
    assert world.lock("bob").acquire()
    assert TIME_TO_LIVE < world.time - began < TIME_TO_LIVE + 5
    assert world.holder() == "bob"


def test_a_lock_of_marin_is_watched_too_whatever_its_clock_says(world: World) -> None:
    world.store.put(LOCK, b'{"worker_id": "host-7", "timestamp": 1.0}')
    began = world.time
    assert world.lock("ada").acquire()
    assert world.time - began > FOREIGN_TIME_TO_LIVE


def test_a_lock_that_is_renewed_is_never_taken_over(world: World) -> None:
    ada, bob = world.lock("ada"), world.lock("bob")
    assert ada.acquire()
    ends = world.time + 10 * TIME_TO_LIVE

    def renew() -> None:
        if world.time > ends:
            world.store.put(STATUS, b"SUCCESS")
            ada.release()
        else:
            ada.renew()

    world.while_waiting = renew
    assert not bob.acquire()
    assert world.time > ends


def test_nobody_waits_for_a_holder_that_died_on_this_machine(world: World) -> None:
    assert world.lock("ada").acquire()
    world.dead.add("ada")
    began = world.time
    assert world.lock("bob").acquire()
    assert world.time == began


def test_the_number_of_an_abandoned_attempt_is_not_forgotten(world: World) -> None:
    world.store.put(LOCK, Lease("run", 1.0, nonce="run", attempt=7).encode())
    world.dead.add("run")
    assert world.lock("ada").acquire()
    blob = world.store.get(LOCK)
    assert blob is not None
    assert b"attempt=7" in blob.data


def test_who_lost_his_lock_is_told_and_leaves_the_others_alone(world: World) -> None:
    ada = world.lock("ada")
    assert ada.acquire()
    world.store.put(LOCK, replace(Lease("bob", 1.0, nonce="bob")).encode())
    for method in (ada.confirm, ada.renew):
        with pytest.raises(StoppedError, match="the lease on `/out/a` was lost") as caught:
            method()
        assert ("holder now", "bob") in caught.value.facts
    ada.release()
    assert world.holder() == "bob"
    world.store.delete([LOCK])
    with pytest.raises(StoppedError, match="was lost"):
        ada.confirm()


def test_confirming_renews_a_lease_that_is_about_to_run_out(world: World) -> None:
    ada = world.lock("ada")
    assert ada.acquire()
    before = world.store.get(LOCK)
    ada.confirm()
    assert world.store.get(LOCK) == before
    world.time += TIME_TO_LIVE - 1
    ada.confirm()
    assert world.store.get(LOCK) != before


def test_a_look_just_now_will_do(world: World) -> None:
    ada = world.lock("ada")
    assert ada.acquire()
    ada.confirm()
    world.store.delete([LOCK])
    ada.confirm(within=5.0)
    world.time += 6.0
    with pytest.raises(StoppedError):
        ada.confirm(within=5.0)


def test_a_lock_renewed_by_its_keeper_is_released_all_the_same(world: World) -> None:
    ada = world.lock("ada")
    assert ada.acquire()
    world.time += TIME_TO_LIVE
    renewed = threading.Event()
    world.store = _Telling(world.store, renewed)
    ada = world.lock("ada")
    assert ada.acquire()  # recognised as ours by its nonce, so renewed at once
    ada.keep()
    assert renewed.wait(240)
    ada.release()
    assert world.holder() is None


class _Telling(MemoryStore):
    """The same bytes; says when something was replaced."""

    def __init__(self, other: MemoryStore, told: threading.Event) -> None:
        super().__init__()
        self._blobs = other._blobs
        self._versions = other._versions
        self._told = told

    def replace_if(self, path: str, data: bytes, version: str) -> str | None:
        try:
            return super().replace_if(path, data, version)
        finally:
            self._told.set()


def test_the_reply_to_our_own_write_may_be_lost(world: World) -> None:
    class Forgetful(MemoryStore):
        def put_if_absent(self, path: str, data: bytes) -> str | None:
            super().put_if_absent(path, data)
            return None

    world.store = Forgetful()
    assert world.lock("ada").acquire()
    assert world.holder() == "ada"


def test_only_one_of_many_threads_gets_the_lock(world: World) -> None:
    locks = [world.lock(f"w{i}") for i in range(16)]
    won: list[PathLock] = []

    def race(lock: PathLock) -> None:
        if lock.try_acquire():
            won.append(lock)

    threads = [threading.Thread(target=race, args=(lock,)) for lock in locks]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(won) == 1


def test_a_store_without_conditional_writes_is_refused() -> None:
    class Plain(MemoryStore):
        conditional = False

    with pytest.raises(StoreError, match="no conditional writes"):
        PathLock(Plain(), OUTPUT, Lease("a", 0.0, nonce="a"), lambda _: False)
