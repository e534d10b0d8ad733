"""Targets that the kernel's lock alone keeps: never built by two, never half of one, never lost."""

from __future__ import annotations

import fcntl
import os
import shutil
import signal
from dataclasses import replace
from threading import Thread
from typing import TYPE_CHECKING, Any

import pytest

from marin_build.errors import StoppedError, StoreError
from marin_build.protocol.acquire import Claimant
from marin_build.protocol.attempt_reader import parse_attempt, recorded, recorded_end
from marin_build.protocol.builder_note import note_of
from marin_build.protocol.claim_outcomes import Finished, Foreign, Held
from marin_build.protocol.held_target import Holding
from marin_build.protocol.layout import attempt_path
from marin_build.protocol.lease import parse_lease
from marin_build.protocol.newest_attempt import newest_attempt
from marin_build.protocol.quick_holding import QuickHolding
from marin_build.store.begun_folder import begin_folder
from marin_build.store.kernel_locks import KernelLocks
from marin_build.store.local import LocalStore
from marin_build.store.lock_file import leases_path, mark_path

from .support import ARTIFACT, HOST, LEASE, NOW, RECORD, STATUS, lease_of, publication

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

OUTPUT = "train_1"


@pytest.fixture
def locks(tmp_path: Path) -> Iterator[KernelLocks]:
    found = KernelLocks(str(tmp_path))
    yield found
    found.close()


@pytest.fixture
def other(tmp_path: Path) -> Iterator[KernelLocks]:
    """Those of another run, in this process."""
    found = KernelLocks(str(tmp_path))
    yield found
    found.close()


def claimant(prefix: Path, locks: KernelLocks | None, who: str = "ada", **rest: Any) -> Claimant:
    return Claimant(
        LocalStore(), f"{prefix}/{OUTPUT}", target=OUTPUT, lease=lease_of(who), now=NOW,
        clock=lambda: 1000.0, may_clear=lambda _: False, locks=locks,
        **{"begin": begin_folder, "is_abandoned": HOST.is_gone, **rest},
    )  # fmt: skip


def quick(prefix: Path, locks: KernelLocks, who: str = "ada") -> QuickHolding:
    got = claimant(prefix, locks, who).acquire()
    assert isinstance(got, QuickHolding)
    return got


def commit(holding: Holding, who: str = "ada", artifact: object = None) -> None:
    holding.commit(publication(who, holding.lease.attempt, artifact), NOW)
    holding.unlock()


def names(output: Path) -> list[str]:
    return sorted(path.name for path in output.iterdir())


def test_a_quick_step_leaves_its_record_and_success_and_nothing_else(
    tmp_path: Path, locks: KernelLocks
) -> None:
    """Each file more costs every step of every build."""
    commit(quick(tmp_path, locks))
    output = tmp_path / OUTPUT
    assert names(output) == [RECORD, STATUS]
    assert (output / STATUS).read_bytes() == b"SUCCESS"
    committed = recorded((output / RECORD).read_bytes())
    assert committed is not None
    assert [tuple(file) for file in committed.manifest] == [("model", 1)]
    assert isinstance(claimant(tmp_path, locks).acquire(), Finished)


def test_what_it_returned_lies_beside_it(tmp_path: Path, locks: KernelLocks) -> None:
    commit(quick(tmp_path, locks), artifact={"loss": 1})
    assert (tmp_path / OUTPUT / ARTIFACT).read_text().strip() == '{"loss": 1}'
    end = recorded_end((tmp_path / OUTPUT / RECORD).read_bytes())
    assert end is not None
    assert end.committed is not None
    assert (end.result, end.attempt, end.committed.has_artifact) == ("succeeded", 1, True)


def test_another_run_is_kept_out_and_told_by_whom(
    tmp_path: Path, locks: KernelLocks, other: KernelLocks
) -> None:
    """Two runs in one process have two descriptions of the file."""
    held = quick(tmp_path, locks)
    got = claimant(tmp_path, other, "bob").acquire()
    assert isinstance(got, Held)
    assert (got.lease.worker, got.lease.run, got.version) == ("ada@far", "r-1", "")
    commit(held)
    assert isinstance(claimant(tmp_path, other, "bob").acquire(), Finished)


def test_a_holder_that_has_written_nothing_yet_keeps_others_out(
    tmp_path: Path, locks: KernelLocks, other: KernelLocks
) -> None:
    lock = locks.take(f"{tmp_path}/{OUTPUT}")
    assert lock is not None
    got = claimant(tmp_path, other).acquire()
    assert isinstance(got, Held)
    assert got.lease.worker == "another_run_on_this_machine"
    lock.release()
    commit(quick(tmp_path, other))


@pytest.mark.parametrize("left", [STATUS, LEASE, "data"])
def test_where_anything_lies_documents_are_written(
    tmp_path: Path, locks: KernelLocks, left: str
) -> None:
    output = tmp_path / OUTPUT
    output.mkdir()
    data = {STATUS: b"FAILED", LEASE: replace(lease_of("bob"), boot="here", pid=0).encode()}
    (output / left).write_bytes(data.get(left, b"x"))
    got = claimant(tmp_path, locks, stale_version=_version(output / LEASE)).acquire()
    if left == "data":
        assert isinstance(got, Foreign)
    else:
        assert isinstance(got, Holding)
        assert not got.is_quick
        assert parse_lease((output / LEASE).read_bytes(), "").lock == got.lock.identity
        got.unlock()


def _version(path: Path) -> str:
    blob = LocalStore().get(str(path))
    return blob.version if blob is not None else ""


def test_an_empty_folder_is_no_reason_for_documents(tmp_path: Path, locks: KernelLocks) -> None:
    (tmp_path / OUTPUT).mkdir()
    commit(quick(tmp_path, locks))


def test_a_link_in_the_place_of_the_output_is_refused(tmp_path: Path, locks: KernelLocks) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / OUTPUT).symlink_to("elsewhere")
    with pytest.raises(StoppedError, match="symbolic link"):
        claimant(tmp_path, locks).acquire()
    assert names(tmp_path / "elsewhere") == []


def test_the_mark_makes_builders_write_documents(tmp_path: Path, locks: KernelLocks) -> None:
    first = quick(tmp_path, locks)
    commit(first)
    shutil.rmtree(tmp_path / OUTPUT)
    (tmp_path / ".marin-build" / "documents-only").touch()
    assert mark_path(str(tmp_path)).endswith("documents-only")
    got = claimant(tmp_path, locks).acquire()
    assert isinstance(got, Holding)
    assert not got.is_quick
    got.unlock()


class TestAnnounced:
    """A step that takes longer than a second."""

    def test_it_has_lease_and_status_and_no_note(self, tmp_path: Path, locks: KernelLocks) -> None:
        held = quick(tmp_path, locks)
        assert held.announce()
        output = tmp_path / OUTPUT
        assert names(output) == [STATUS, LEASE]
        assert (output / STATUS).read_bytes() == b"RUNNING"
        lease = parse_lease((output / LEASE).read_bytes(), "")
        assert (lease.run, lease.attempt, lease.lock) == ("r-1", 1, held.lock.identity)

    def test_it_commits_as_any_other(self, tmp_path: Path, locks: KernelLocks) -> None:
        held = quick(tmp_path, locks)
        assert held.announce()
        assert held.announce(), "it is done once"
        commit(held)
        assert names(tmp_path / OUTPUT) == [RECORD, STATUS, ".logs"]

    def test_a_failure_is_announced_first(self, tmp_path: Path, locks: KernelLocks) -> None:
        held = quick(tmp_path, locks)
        assert held.fail("failed", 3, "no luck", NOW)
        output = tmp_path / OUTPUT
        assert names(output) == [STATUS, ".logs"]
        assert (output / STATUS).read_bytes() == b"FAILED"
        attempt = parse_attempt((output / ".logs" / "attempt-0001.json").read_bytes(), "")
        assert (attempt.result, attempt.exit_code) == ("failed", 3)
        held.unlock()
        again = claimant(tmp_path, locks).acquire()
        assert isinstance(again, Holding)
        assert again.lease.attempt == 2
        again.unlock()

    def test_a_full_disk_puts_it_off(
        self, tmp_path: Path, locks: KernelLocks, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Half of it may be there: it goes on from that."""
        held = quick(tmp_path, locks)
        real = LocalStore.put_if_absent

        def refuse(self: LocalStore, path: str, data: bytes) -> str | None:
            if path.endswith(STATUS):
                raise StoreError("full")
            return real(self, path, data)

        with monkeypatch.context() as patch:
            patch.setattr(LocalStore, "put_if_absent", refuse)
            with pytest.raises(StoreError):
                held.announce()
        assert names(tmp_path / OUTPUT) == [RECORD, LEASE]
        assert held.announce()
        commit(held)
        assert not (tmp_path / OUTPUT / LEASE).exists()


@pytest.mark.parametrize("name", [STATUS, LEASE])
@pytest.mark.parametrize("end", ["commit", "announce", "fail"])
def test_who_does_not_see_the_lock_wins(
    tmp_path: Path, locks: KernelLocks, name: str, end: str
) -> None:
    """An older version took the target: its files stay as they are, and ours counts nothing."""
    held = quick(tmp_path, locks)
    theirs = {STATUS: b"RUNNING", LEASE: lease_of("bob").encode()}[name]
    if name == STATUS and end != "commit":
        theirs = b"SUCCESS"
    (tmp_path / OUTPUT / name).write_bytes(theirs)
    if end == "commit":
        with pytest.raises(StoppedError, match="lost"):
            held.commit(publication("ada", 1), NOW)
    elif end == "announce":
        assert not held.announce()
    else:
        assert not held.fail("failed", 1, "x", NOW)
    with pytest.raises(StoppedError, match="lost"):
        held.commit(publication("ada", 1), NOW)
    held.unlock()
    assert (tmp_path / OUTPUT / name).read_bytes() == theirs
    assert not ({STATUS, LEASE} - {name}) & set(names(tmp_path / OUTPUT))


def test_a_record_of_another_is_not_written_over(tmp_path: Path, locks: KernelLocks) -> None:
    """An older version committed meanwhile: its record stands beside its SUCCESS."""
    held = quick(tmp_path, locks)
    older = claimant(tmp_path, None, "bob", begin=None, is_abandoned=lambda _: True).acquire()
    assert isinstance(older, Holding)
    older.commit(publication("bob", older.lease.attempt), NOW)
    with pytest.raises(StoppedError, match="lost"):
        held.commit(publication("ada", 1), NOW)
    held.unlock()
    assert b'"user":"bob"' in (tmp_path / OUTPUT / RECORD).read_bytes()


def test_an_output_that_was_deleted_is_not_committed(tmp_path: Path, locks: KernelLocks) -> None:
    held = quick(tmp_path, locks)
    shutil.rmtree(tmp_path / OUTPUT)
    assert not held.is_there()
    (tmp_path / OUTPUT).mkdir()
    assert not held.is_there()
    with pytest.raises(StoppedError, match="lost"):
        held.commit(publication("ada", 1), NOW)
    held.unlock()
    assert names(tmp_path / OUTPUT) == []


class TestWithoutTheFile:
    """The file of the locks is deleted while a step runs: the lock keeps nobody out any more."""

    def test_the_holder_is_seen_by_its_note(self, tmp_path: Path, other: KernelLocks) -> None:
        mine = KernelLocks(str(tmp_path))
        held = quick(tmp_path, mine)
        os.unlink(leases_path(str(tmp_path)))
        got = claimant(tmp_path, other, "bob").acquire()
        assert isinstance(got, Held)
        assert got.lease.nonce == held.lease.nonce

    def test_the_holder_ends_by_documents(self, tmp_path: Path, locks: KernelLocks) -> None:
        held = quick(tmp_path, locks)
        os.unlink(leases_path(str(tmp_path)))
        commit(held)
        assert (tmp_path / OUTPUT / ".logs" / "attempt-0001.json").exists()
        assert (tmp_path / OUTPUT / STATUS).read_bytes() == b"SUCCESS"

    def test_a_lease_is_not_taken_over(
        self, tmp_path: Path, locks: KernelLocks, other: KernelLocks
    ) -> None:
        """The lease names the file that it was locked in: not the one that lies there now."""
        held = quick(tmp_path, locks)
        assert held.announce()
        os.unlink(leases_path(str(tmp_path)))
        got = claimant(tmp_path, other, "bob").acquire()
        assert isinstance(got, Held)
        assert got.version


class TestAfterADeath:
    """The holder is gone: its lock with it, its files not."""

    @pytest.mark.parametrize("is_announced", [False, True])
    def test_the_next_one_goes_on_at_once(
        self, tmp_path: Path, other: KernelLocks, *, is_announced: bool
    ) -> None:
        """Also after a restart of the machine: the lease names no process of now."""
        mine = KernelLocks(str(tmp_path))
        held = quick(tmp_path, mine)
        (tmp_path / OUTPUT / "model").write_text("half")
        if is_announced:
            held.announce()
        mine.forget()
        got = claimant(tmp_path, other, "bob").acquire()
        assert isinstance(got, Holding)
        assert (got.lease.attempt, got.is_quick) == (2, False)
        dead = parse_attempt((tmp_path / OUTPUT / ".logs" / "attempt-0001.json").read_bytes(), "")
        assert (dead.result, dead.run) == ("abandoned", "r-1")
        got.unlock()

    @pytest.mark.parametrize("is_announced", [False, True])
    def test_what_it_left_working_is_waited_for(
        self, tmp_path: Path, other: KernelLocks, *, is_announced: bool
    ) -> None:
        mine = KernelLocks(str(tmp_path))
        held = quick(tmp_path, mine)
        if is_announced:
            held.announce()
        mine.forget()
        got = claimant(tmp_path, other, "bob", is_worked_on=lambda _: True).acquire()
        assert isinstance(got, Held)
        assert got.lease.nonce == held.lease.nonce

    def test_a_child_that_has_the_file_open_keeps_others_out(
        self, tmp_path: Path, other: KernelLocks
    ) -> None:
        mine = KernelLocks(str(tmp_path))
        quick(tmp_path, mine)
        read, write = os.pipe()
        child = os.fork()
        if child == 0:
            os.close(write)
            os.read(read, 1)
            os._exit(0)
        mine.forget()
        assert isinstance(claimant(tmp_path, other, "bob").acquire(), Held)
        os.close(write)
        os.close(read)
        os.waitpid(child, 0)
        got = claimant(tmp_path, other, "bob").acquire()
        assert isinstance(got, Holding)
        got.unlock()


_CALLS = ("mkdir", "open", "pwrite", "utime", "rename", "symlink", "unlink", "listdir")


def _dies_at(number: int, run: Callable[[], object], *, after: bool) -> bool:
    """Run in a child that kills itself before its n-th call of the system, or right after it.

    Returns:
        Whether it came so far.

    """
    child = os.fork()
    if child == 0:
        count = 0

        def counting(real: Callable[..., Any]) -> Callable[..., Any]:
            def call(*args: Any, **kw: Any) -> Any:
                nonlocal count
                count += 1
                if count == number and not after:
                    os.kill(os.getpid(), signal.SIGKILL)
                try:
                    return real(*args, **kw)
                finally:
                    if count == number and after:
                        os.kill(os.getpid(), signal.SIGKILL)

            return call

        for name in _CALLS:
            setattr(os, name, counting(getattr(os, name)))
        for name in ("fcntl", "flock"):
            setattr(fcntl, name, counting(getattr(fcntl, name)))
        try:
            run()
        finally:
            os._exit(0)
    return os.WIFSIGNALED(os.waitpid(child, 0)[1])


@pytest.mark.parametrize("after", [False, True], ids=["before a call", "after a call"])
@pytest.mark.parametrize("how", ["succeeds", "fails", "announced"])
def test_killed_at_any_call_it_is_built_by_the_next_run(
    tmp_path: Path, how: str, *, after: bool
) -> None:
    """Never blocked, never half of an output as a whole one, never a wait."""
    number = 0
    while True:
        number += 1
        prefix = tmp_path / str(number)
        prefix.mkdir()

        def build(prefix: Path = prefix) -> None:
            held = quick(prefix, KernelLocks(str(prefix)))
            (prefix / OUTPUT / "model").write_text("x")
            if how == "announced":
                held.announce()
            if how == "fails":
                held.fail("failed", 1, "x", NOW)
            else:
                commit(held, artifact=1)

        if not _dies_at(number, build, after=after):
            break
        output = prefix / OUTPUT
        if (output / STATUS).exists() and (output / STATUS).read_bytes() == b"SUCCESS":
            committed = recorded((output / RECORD).read_bytes())
            assert how == "announced" or committed is not None
            assert (output / ARTIFACT).read_text().strip() == "1"
        locks = KernelLocks(str(prefix))
        got = claimant(prefix, locks, "bob").acquire()
        assert isinstance(got, Finished | Holding), (number, got)
        if isinstance(got, Holding):
            if got.lease.attempt > 1:
                assert newest_attempt(LocalStore(), str(output)) == got.lease.attempt - 1
            commit(got, "bob")
        assert (output / STATUS).read_bytes() == b"SUCCESS"
        assert not (output / LEASE).exists()
        locks.close()
    assert number > {"succeeds": 10, "fails": 20, "announced": 30}[how]


def test_many_runs_at_once_build_each_target_once(tmp_path: Path) -> None:
    built: list[int] = []

    def run(which: int) -> None:
        locks = KernelLocks(str(tmp_path))
        for number in range(40):
            output = f"{tmp_path}/t{number}_1"
            while True:
                mine = replace(claimant(tmp_path, locks, f"w{which}"), output=output)
                got = mine.acquire()
                if isinstance(got, Finished):
                    break
                if isinstance(got, Holding):
                    built.append(number)
                    commit(got)
                    break
        locks.close()

    threads = [Thread(target=run, args=(which,)) for which in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(built) == list(range(40))


def test_a_note_is_no_record_and_a_record_no_note() -> None:
    lease = replace(lease_of(), attempt=1, lock="1f")
    assert note_of(lease.encode()) == lease
    assert note_of(b'{"worker_id":') is None
    assert note_of(b'{"worker_id": "x", "timestamp": 1}') is None, "Marin's own"
    assert note_of(publication("ada", 1).as_record()) is None
    assert recorded(lease.encode()) is None


def test_a_number_is_not_given_out_twice(tmp_path: Path, locks: KernelLocks) -> None:
    """A forced rebuild of a quick build is its second attempt."""
    commit(quick(tmp_path, locks))
    again = claimant(tmp_path, locks, force=True).acquire()
    assert isinstance(again, Holding)
    assert again.lease.attempt == 2
    commit(again)
    assert (tmp_path / attempt_path(OUTPUT, 2)).exists()
