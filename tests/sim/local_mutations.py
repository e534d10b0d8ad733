"""Ways to break the protocol of a local disk. See `mutations`."""

from __future__ import annotations

from contextlib import nullcontext
from typing import TYPE_CHECKING, Any, cast

from marin_build.errors import CorruptStateError
from marin_build.protocol import claim_by_documents, layout, look
from marin_build.protocol.acquire import Claimant
from marin_build.protocol.publish import finish_publishing
from marin_build.protocol.quick_holding import QuickHolding
from marin_build.protocol.status import STATUS_RUNNING, parse_status
from marin_build.store.kernel_locks import KernelLocks
from tests.sim import local_appliers, local_slots
from tests.sim.local_appliers import LocalApplier
from tests.sim.local_disk import Disk
from tests.sim.local_family import LocalFamily
from tests.sim.local_protocol import Beginner, Mutex, SimulatedFolder, SimulatedLockFile
from tests.sim.machine import Machine

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pytest

    from marin_build.protocol.documents import Publication
    from marin_build.protocol.lease import Lease
    from marin_build.protocol.look import Seen
    from marin_build.store.base import Store
    from tests.sim.mutations import Mutation


def take_without_a_lock(patch: pytest.MonkeyPatch) -> None:
    """The kernel gives every lock to everybody."""
    patch.setattr(Machine, "try_lock", lambda *_: True)


def build_without_a_look(patch: pytest.MonkeyPatch) -> None:
    """Who has the kernel lock does not look what lies there by now."""

    def begin(self: Beginner, path: str, name: str, content: bytes) -> SimulatedFolder:
        self.disk.put(f"{path}/{name}", content)
        file = self.machine.numbers[f"{path}/{name}"]
        return SimulatedFolder(self.machine, self.disk, path, name, file)

    patch.setattr(Beginner, "begin", begin)


def replace_success(patch: pytest.MonkeyPatch) -> None:
    """SUCCESS is written over whatever is there."""
    real = SimulatedFolder.has
    patch.setattr(
        SimulatedFolder, "has", lambda self, name: name != layout.STATUS and real(self, name)
    )
    patch.setattr(SimulatedFolder, "is_in_place", lambda _self: True)


def succeed_beside_a_lease(patch: pytest.MonkeyPatch) -> None:
    """SUCCESS is created although another has written a lease document."""
    real = SimulatedFolder.has
    patch.setattr(
        SimulatedFolder, "has", lambda self, name: name != layout.LEASE and real(self, name)
    )


def create_success_without_the_folder_lock(patch: pytest.MonkeyPatch) -> None:
    """SUCCESS comes between the look and the `rename` of one who creates RUNNING."""
    real = SimulatedFolder.finish

    def finish(self: SimulatedFolder, *rest: Any) -> bool:
        with patch.context() as inner:
            inner.setattr(Disk, "locked", lambda _self, _path: nullcontext())
            return real(self, *rest)

    patch.setattr(SimulatedFolder, "finish", finish)


def unlock_before_success(patch: pytest.MonkeyPatch) -> None:
    """The kernel lock is let go before SUCCESS is there."""
    real = QuickHolding._finish

    def finish(self: QuickHolding, publication: Publication) -> None:
        self.lock.release()
        real(self, publication)

    patch.setattr(QuickHolding, "_finish", finish)


def record_after_success(patch: pytest.MonkeyPatch) -> None:
    """The record is written when SUCCESS is there already."""
    real = SimulatedFolder.finish

    def finish(
        self: SimulatedFolder, content: bytes, others: Mapping[str, bytes], *rest: Any
    ) -> bool:
        is_done = real(self, b"", others, *rest)
        if is_done:
            self.write(content)
        return is_done

    patch.setattr(SimulatedFolder, "finish", finish)


def replace_the_record(patch: pytest.MonkeyPatch) -> None:
    """The record is written over whatever is there, before SUCCESS is refused."""
    real = SimulatedFolder.finish

    def finish(self: SimulatedFolder, content: bytes, *rest: Any) -> bool:
        self.disk.put(f"{self.path}/{self.name}", content)
        self.file = self.machine.numbers[f"{self.path}/{self.name}"]
        return real(self, content, *rest)

    patch.setattr(SimulatedFolder, "finish", finish)


def prove_nothing(patch: pytest.MonkeyPatch) -> None:
    """No note of ours is there before the first data is written."""

    def write(self: SimulatedFolder, content: bytes) -> None:
        first = f"{self.path}/{self.name}"
        if content.startswith(b'{"worker_id"'):
            self.machine.remove(self.disk.actor, first)
            return
        self.disk.put(first, content)
        self.file = self.machine.numbers[first]

    patch.setattr(SimulatedFolder, "write", write)
    patch.setattr(SimulatedFolder, "is_in_place", lambda _self: True)


def announce_over_a_status(patch: pytest.MonkeyPatch) -> None:
    """RUNNING is written whatever the status is by then."""
    real = QuickHolding._announce

    def announce(self: QuickHolding) -> bool:
        store = self.store
        self.store = cast("Store", _Overwriting(store))
        try:
            return real(self)
        finally:
            self.store = store

    patch.setattr(QuickHolding, "_announce", announce)


class _Overwriting:
    """A store where RUNNING is written over any status."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def put_if_absent(self, path: str, data: bytes) -> str | None:
        if data == STATUS_RUNNING.encode():
            return self._store.put(path, data)
        return self._store.put_if_absent(path, data)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)


def never_announce(patch: pytest.MonkeyPatch) -> None:
    """Nobody but the kernel ever knows who builds: who sees no locks comes at any time."""
    patch.setattr(local_appliers, "ANNOUNCE", 1e6)


def tick_while_it_ends(patch: pytest.MonkeyPatch) -> None:
    """Nothing keeps the announcer and the end of a step apart."""
    patch.setattr(Mutex, "__enter__", lambda _self: None)


def trust_the_open_file(patch: pytest.MonkeyPatch) -> None:
    """It is not looked at whether the leases file is still the one that lies there."""
    patch.setattr(SimulatedLockFile, "is_in_place", lambda _self: True)


def forget_own_locks(patch: pytest.MonkeyPatch) -> None:
    """A session locks a byte again that it has locked: the kernel does not mind."""
    real = KernelLocks.__init__

    def init(self: KernelLocks, *rest: Any, **options: Any) -> None:
        real(self, *rest, **options)
        self._taken = _Forgetful()

    patch.setattr(KernelLocks, "__init__", init)


class _Forgetful(dict[Any, Any]):
    """A table in which nothing is ever found."""

    def __contains__(self, key: object) -> bool:
        return False


def forget_the_mark(patch: pytest.MonkeyPatch) -> None:
    """The mark of those who see no kernel locks is not looked at."""
    patch.setattr(SimulatedLockFile, "has_mark", lambda _self: False)


def do_not_wait_for_the_mark(patch: pytest.MonkeyPatch) -> None:
    """Who puts the mark there begins at once."""
    patch.setattr(local_slots, "MARK_SEEN_AFTER", 0.0)


def judge_by_process_alone(patch: pytest.MonkeyPatch) -> None:
    """A lease document is judged by its process, whoever has the kernel lock now."""
    patch.setattr(Claimant, "_is_gone", lambda _self, _holder: False)
    real = LocalApplier.is_abandoned

    def is_abandoned(self: LocalApplier, output: str, lease: Lease) -> bool:
        locks, self.locks = self.locks, None
        try:
            return real(self, output, lease)
        finally:
            self.locks = locks

    patch.setattr(LocalApplier, "is_abandoned", is_abandoned)


def trust_any_lock(patch: pytest.MonkeyPatch) -> None:
    """The lease document does not say on which file its holder has its lock."""
    patch.setattr(Claimant, "_is_gone", lambda _self, holder: bool(holder.lock))


def look_for_no_note(patch: pytest.MonkeyPatch) -> None:
    """What one who died within the first second has started is not looked for."""
    patch.setattr(Claimant, "_record_without", lambda _self, _seen: None)


def find_work_by_its_log_alone(patch: pytest.MonkeyPatch) -> None:
    """What a dead holder has started is not found by its mark."""

    def is_worked_on(self: LocalApplier, output: str, lease: Lease) -> bool:
        return self.machine.is_locked(layout.log_path(output, lease.attempt))

    patch.setattr(LocalApplier, "is_worked_on", is_worked_on)


def keep_the_session_s_locks(patch: pytest.MonkeyPatch) -> None:
    """What a body forks shares all locks of its session, for as long as it lives."""
    patch.setattr(LocalFamily, "body_keeps", staticmethod(lambda _description: True))


def forget_half_an_announcement(patch: pytest.MonkeyPatch) -> None:
    """An announcer that could not write RUNNING takes its own lease for another's."""
    patch.setattr(QuickHolding, "_version_of_ours", lambda _self, _path: None)


def begin_after_a_long_sleep(patch: pytest.MonkeyPatch) -> None:
    """Who slept between the lock and the start of the body does not announce first."""
    patch.setattr(local_slots.Slot, "_is_held", lambda _self, _holding: True)


def be_blocked_by_an_empty_status(patch: pytest.MonkeyPatch) -> None:
    """A status that a power cut left empty is an error."""

    def parse(data: bytes, path: str) -> Any:
        if not data:
            raise CorruptStateError(f"the status file `{path}` is not readable")
        return parse_status(data, path)

    patch.setattr(look, "parse_status", parse)


def keep_an_empty_seal(patch: pytest.MonkeyPatch) -> None:
    """A seal stays that commits what a power cut left empty."""

    def finish(store: Store, output: str, seen: Seen) -> bool:
        assert seen.lease is not None
        blob = store.get(layout.attempt_path(output, seen.lease.attempt))
        if blob is not None and not blob.data:
            raise CorruptStateError("the sealed attempt is empty")
        return finish_publishing(store, output, seen)

    patch.setattr(claim_by_documents, "finish_publishing", finish)


OF_LOCAL_DISKS: tuple[Mutation, ...] = (
    take_without_a_lock,
    build_without_a_look,
    succeed_beside_a_lease,
    unlock_before_success,
    record_after_success,
    replace_the_record,
    prove_nothing,
    tick_while_it_ends,
    forget_own_locks,
    judge_by_process_alone,
    trust_any_lock,
    look_for_no_note,
    find_work_by_its_log_alone,
    forget_half_an_announcement,
    begin_after_a_long_sleep,
    announce_over_a_status,
    be_blocked_by_an_empty_status,
    keep_an_empty_seal,
)
RARE_OF_LOCAL_DISKS: dict[Mutation, int] = {
    forget_own_locks: 80,
    forget_half_an_announcement: 1_740,
    succeed_beside_a_lease: 100,
    replace_the_record: 3_350,
    judge_by_process_alone: 50,
    trust_any_lock: 560,
    look_for_no_note: 370,
    find_work_by_its_log_alone: 510,
    announce_over_a_status: 3_440,
    begin_after_a_long_sleep: 2_270,
    be_blocked_by_an_empty_status: 260,
    keep_an_empty_seal: 220,
}
"""Seeds at which to begin to look, as `mutations.RARE`."""
BY_CHANCE: tuple[Mutation, ...] = (
    replace_success,
    create_success_without_the_folder_lock,
    never_announce,
    trust_the_open_file,
    forget_the_mark,
    do_not_wait_for_the_mark,
    keep_the_session_s_locks,
)
"""What no schedule in a thousand notices, since something else keeps others out, too: the note, the
lock on the log, the process of the holder. No test waits for that."""
