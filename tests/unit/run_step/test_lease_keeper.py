"""Who keeps leases kills the work whose lease is gone: else two bodies write into one folder."""

from __future__ import annotations

import os
import select
import signal
import subprocess
from typing import TYPE_CHECKING

import pytest

from marin_build.errors import StoreAwayError
from marin_build.protocol.lease import TIME_TO_LIVE, Lease, boot_clock, parse_lease
from marin_build.run_step import kept_work, lease_keeper
from marin_build.run_step.body import Request
from marin_build.run_step.kept_work import LOST, Word, Work
from marin_build.run_step.lease_keeper import Keeper
from marin_build.store.local import LocalStore

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from marin_build.store.base import Blob

LOCK = ".executor_status.lock"
OURS = Lease("ada@here", 1.0, run="r-1", nonce="mine")


@pytest.fixture
def work() -> Iterator[subprocess.Popen[bytes]]:
    """A process group that works for ever."""
    with subprocess.Popen(["sleep", "1000"], process_group=0) as process:
        yield process
        process.kill()


def _order(output: Path, pid: int, *, group: bool = True) -> dict[str, object]:
    return {"output": str(output), "nonce": "mine", "since": boot_clock(), "ttl": TIME_TO_LIVE,
            "pid": pid, "group": group, "reports_end": group, "log": ""}  # fmt: skip


def _kept(output: Path, pid: int) -> dict[str, Work]:
    kept: dict[str, Work] = {}
    lease_keeper._follow(_order(output, pid), kept)
    return kept


def test_work_whose_lease_is_ours_goes_on(tmp_path: Path, work: subprocess.Popen[bytes]) -> None:
    LocalStore().put(f"{tmp_path}/{LOCK}", OURS.encode())
    (held,) = _kept(tmp_path, work.pid).values()
    assert lease_keeper._renew(LocalStore(), held, print)
    assert parse_lease((tmp_path / LOCK).read_bytes(), "p").timestamp > OURS.timestamp
    assert work.poll() is None


@pytest.mark.parametrize("found", ["another's", "deleted by hand"])
def test_work_that_lost_its_lease_is_killed(
    tmp_path: Path, work: subprocess.Popen[bytes], found: str
) -> None:
    if found == "another's":
        LocalStore().put(f"{tmp_path}/{LOCK}", Lease("bob", 1.0, nonce="his").encode())
    (held,) = _kept(tmp_path, work.pid).values()
    said: list[Word] = []
    assert not lease_keeper._renew(LocalStore(), held, said.append)
    assert [bool(word.killed) for word in said] == [True]
    assert work.wait(240) == -signal.SIGKILL


@pytest.mark.parametrize("found", ["another's", "gone"])
def test_what_outlives_its_process_kills_nobody(
    tmp_path: Path, work: subprocess.Popen[bytes], found: str
) -> None:
    """The process has ended and was verified and committed: the lease ends with that."""
    if found == "another's":
        LocalStore().put(f"{tmp_path}/{LOCK}", Lease("bob", 1.0, nonce="his").encode())
    kept = _kept(tmp_path, work.pid)
    lease_keeper._follow({"output": str(tmp_path), "pid": 0}, kept)
    assert not lease_keeper._renew(LocalStore(), kept[str(tmp_path)], print)
    assert work.poll() is None


def test_what_was_released_is_forgotten(tmp_path: Path) -> None:
    kept = _kept(tmp_path, 1)
    lease_keeper._follow({"output": "unknown", "pid": 0}, kept)
    lease_keeper._follow({"output": "unknown"}, kept)
    assert list(kept) == [str(tmp_path)]
    lease_keeper._follow({"output": str(tmp_path)}, kept)
    assert kept == {}


def test_the_process_renews_what_it_was_given_until_it_is_released(tmp_path: Path) -> None:
    store, path = LocalStore(), f"{tmp_path}/{LOCK}"
    first = store.put(path, OURS.encode())
    kept = Keeper(store, 0.6)
    try:
        kept.hold(str(tmp_path), Request(0, "mine", boot_clock(), ""), os.getpid(), group=False)
        seen = {first}
        while len(seen) < 4:
            blob = store.get(path)
            assert blob is not None
            seen.add(blob.version)
        assert not kept.has_died()
    finally:
        kept.close()
    assert kept.has_died()


def test_work_in_threads_that_lost_its_lease_is_told_by_the_end_of_the_keeper(
    tmp_path: Path,
) -> None:
    kept = Keeper(LocalStore(), 0.6)
    LocalStore().put(f"{tmp_path}/{LOCK}", Lease("bob", 1.0, nonce="his").encode())
    kept.hold(str(tmp_path), Request(0, "mine", boot_clock(), ""), os.getpid(), group=False)
    _, status = os.waitpid(kept.pid, 0)
    assert os.waitstatus_to_exitcode(status) == LOST
    assert kept.has_died()
    kept.close()


class Hanging(LocalStore):
    """A store that never answers."""

    def get(self, path: str) -> Blob | None:
        signal.pause()
        while True:  # interrupted by a signal, the request is made again
            signal.pause()


def test_a_request_that_hangs_holds_the_work_still_past_its_deadline(
    tmp_path: Path, work: subprocess.Popen[bytes]
) -> None:
    """Else the work goes on beside its successor for as long as a connection is waited for."""
    running = Keeper(Hanging(), 0.3)
    try:
        request = Request(0, "mine", boot_clock(), str(tmp_path / "log"))
        running.hold(str(tmp_path), request, work.pid, group=True)
        os.waitid(os.P_PID, work.pid, os.WSTOPPED | os.WNOWAIT)
        select.select([running], [], [], 240)
        assert running.hear() == [Word(str(tmp_path), is_still=True)]
    finally:
        os.kill(running.pid, signal.SIGKILL)
        running.close()


class Away(LocalStore):
    """A store that gives no answer for a while."""

    is_away = True

    def get(self, path: str) -> Blob | None:
        if self.is_away:
            raise StoreAwayError("away")
        return super().get(path)


@pytest.mark.parametrize("found", ["ours", "another's"])
def test_an_outage_ends_no_work_but_that_of_which_another_run_has_the_lease(
    tmp_path: Path, work: subprocess.Popen[bytes], found: str
) -> None:
    """Else a minute without an answer costs a day of training."""
    lease = OURS if found == "ours" else Lease("bob", 1.0, nonce="his")
    LocalStore().put(f"{tmp_path}/{LOCK}", lease.encode())
    store, said = Away(), list[Word]()
    order = _order(tmp_path, work.pid) | {"since": boot_clock() - TIME_TO_LIVE}
    kept: dict[str, Work] = {}
    lease_keeper._follow(order, kept)
    (held,) = kept.values()
    for _ in range(3):
        assert lease_keeper._renew(store, held, said.append)
    os.waitid(os.P_PID, work.pid, os.WSTOPPED | os.WNOWAIT)
    store.is_away = False
    assert lease_keeper._renew(store, held, said.append) == (found == "ours")
    assert [(word.is_still, bool(word.killed)) for word in said] == [
        (True, False),
        (False, found != "ours"),
    ]
    if found == "ours":
        os.waitid(os.P_PID, work.pid, os.WCONTINUED | os.WNOWAIT)
        assert work.poll() is None
    else:
        assert work.wait(240) == -signal.SIGKILL


def test_work_is_not_held_still_for_ever(
    tmp_path: Path, work: subprocess.Popen[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else a store that is gone for good keeps a machine for ever, and nothing says why."""
    said = list[Word]()
    kept: dict[str, Work] = {}
    order = _order(tmp_path, work.pid) | {"since": boot_clock() - TIME_TO_LIVE}
    lease_keeper._follow(order, kept)
    (held,) = kept.values()
    assert lease_keeper._renew(Away(), held, said.append)
    monkeypatch.setattr(kept_work, "LONGEST", 0.0)
    assert not lease_keeper._renew(Away(), held, said.append)
    assert said[-1].killed == "the store gave no answer for too long"
    assert work.wait(240) == -signal.SIGKILL
