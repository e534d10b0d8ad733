"""Ways to break the protocol of a local disk. See `mutations`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from marin_build.protocol import layout
from marin_build.protocol.status import STATUS_RUNNING, STATUS_SUCCESS
from tests.sim import local_appliers, local_protocol
from tests.sim.local_family import LocalFamily
from tests.sim.local_protocol import Held1, KernelLeases, LocalClaimant, Mutex

if TYPE_CHECKING:
    import pytest

    from marin_build.protocol.documents import Publication
    from marin_build.protocol.lease import Lease
    from tests.sim.machine import Disk
    from tests.sim.mutations import Mutation


def take_without_a_lock(patch: pytest.MonkeyPatch) -> None:
    """The kernel is not asked."""
    patch.setattr("tests.sim.machine.Machine.try_lock", lambda *_: True)


def build_without_a_look(patch: pytest.MonkeyPatch) -> None:
    """Who has the kernel lock does not look what lies there by now."""
    patch.setattr(LocalClaimant, "_is_untouched", lambda _self: True)

    def prove(self: LocalClaimant, lease: Lease) -> bool:
        self.disk.put(layout.log_path(self.claimant.output, 1), lease.nonce.encode())
        return True

    patch.setattr(LocalClaimant, "_prove", prove)


def replace_success(patch: pytest.MonkeyPatch) -> None:
    """SUCCESS is written over whatever is there."""

    def say_success(self: Held1, disk: Disk) -> bool:
        disk.put(f"{self.output}/{layout.STATUS}", STATUS_SUCCESS.encode())
        return True

    patch.setattr(Held1, "_say_success", say_success)


def succeed_beside_a_lease(patch: pytest.MonkeyPatch) -> None:
    """SUCCESS is created although another has written a lease document."""

    def say_success(self: Held1, disk: Disk) -> bool:
        return disk.link(f"{self.output}/{layout.STATUS}", STATUS_SUCCESS.encode()) is not None

    patch.setattr(Held1, "_say_success", say_success)


def create_success_without_the_folder_lock(patch: pytest.MonkeyPatch) -> None:
    """One system call creates SUCCESS; who looks and then renames is not kept out."""

    def say_success(self: Held1, disk: Disk) -> bool:
        if disk.get(f"{self.output}/{layout.LEASE}") is not None:
            return False
        return disk.link(f"{self.output}/{layout.STATUS}", STATUS_SUCCESS.encode()) is not None

    patch.setattr(Held1, "_say_success", say_success)


def unlock_before_success(patch: pytest.MonkeyPatch) -> None:
    """The kernel lock is let go before SUCCESS is there."""
    real = Held1._say_success

    def say_success(self: Held1, disk: Disk) -> bool:
        assert self.leases is not None
        assert self.opened is not None
        self.leases.release(self.output, self.opened)
        disk.step("unlock", "leases")
        return real(self, disk)

    patch.setattr(Held1, "_say_success", say_success)


def record_after_success(patch: pytest.MonkeyPatch) -> None:
    """The record is written when SUCCESS is there already."""
    real = Held1._publish

    def publish(self: Held1, disk: Disk, publication: Publication) -> bool:
        return self._say_success(disk) and (real(self, disk, publication) or True)

    patch.setattr(Held1, "_publish", publish)


def replace_the_record(patch: pytest.MonkeyPatch) -> None:
    """The record is written over whatever is there, before SUCCESS is refused."""
    real = Held1._publish

    def publish(self: Held1, disk: Disk, publication: Publication) -> bool:
        disk.put(f"{self.output}/{layout.RECORD}", publication.record.to_bytes())
        return real(self, disk, publication)

    patch.setattr(Held1, "_publish", publish)


def prove_nothing(patch: pytest.MonkeyPatch) -> None:
    """No log is there before the first data is written."""
    patch.setattr(LocalClaimant, "_prove", lambda _self, _lease: True)


def announce_over_a_status(patch: pytest.MonkeyPatch) -> None:
    """RUNNING is written whatever the status is by then."""
    patch.setattr(
        Held1, "_say_running", lambda _self, disk, path: disk.put(path, STATUS_RUNNING.encode())
    )


def never_announce(patch: pytest.MonkeyPatch) -> None:
    """Nobody but the kernel ever knows who builds."""
    patch.setattr(local_appliers, "ANNOUNCE_AFTER", 1e6)


def tick_while_it_ends(patch: pytest.MonkeyPatch) -> None:
    """Nothing keeps the tick and the end of a step apart."""
    patch.setattr(Mutex, "take", lambda _self, _disk: None)


def trust_the_open_file(patch: pytest.MonkeyPatch) -> None:
    """Nobody looks whether the leases file is still the one that lies there."""
    patch.setattr(KernelLeases, "is_in_place", lambda _self, _opened: True)

    def take(self: KernelLeases, output: str, disk: Disk) -> Any:
        opened = self.opened or self.open()
        if not self._reserve(self.offset_of(output), output):
            return None
        disk.step("lock", "leases")
        if self.machine.try_lock(opened, self.offset_of(output)):
            return opened
        self.table.pop(self.offset_of(output), None)
        return None

    patch.setattr(KernelLeases, "take", take)


def forget_own_locks(patch: pytest.MonkeyPatch) -> None:
    """A session locks a byte again that it has locked: the kernel does not mind."""
    patch.setattr(KernelLeases, "_reserve", lambda self, byte, it: self.table.update({byte: it}) or True)


def forget_the_mark(patch: pytest.MonkeyPatch) -> None:
    """The mark of those who see no kernel locks is not looked at."""
    patch.setattr(local_protocol, "has_mark", lambda _disk: False)


def do_not_wait_for_the_mark(patch: pytest.MonkeyPatch) -> None:
    """Who puts the mark there begins at once."""
    patch.setattr(local_appliers, "MARK_WAIT", 0.0)


def judge_by_process_alone(patch: pytest.MonkeyPatch) -> None:
    """A lease document is judged by its process, whoever has the kernel lock now."""
    patch.setattr(local_protocol, "is_let_go", lambda _lease, _opened: False)


def trust_any_lock(patch: pytest.MonkeyPatch) -> None:
    """The lease document does not say on which file its holder has its lock."""
    patch.setattr(local_protocol, "kernel_word", lambda _opened: "kernel:0")


def look_for_no_work(patch: pytest.MonkeyPatch) -> None:
    """What an unannounced attempt has started is not looked for."""
    patch.setattr(local_appliers.LocalApplier, "is_left_working", lambda _self, _log: False)


def find_work_by_its_log_alone(patch: pytest.MonkeyPatch) -> None:
    """The log of an unannounced attempt does not tell its nonce, so no mark is found."""
    patch.setattr(
        local_appliers.LocalApplier,
        "is_left_working",
        lambda self, log: self.machine.is_locked(log),
    )


def keep_the_session_s_locks(patch: pytest.MonkeyPatch) -> None:
    """What a body forks shares all locks of its session, for as long as it lives."""
    patch.setattr(LocalFamily, "body_keeps", staticmethod(lambda _description: True))


def forget_half_an_announcement(patch: pytest.MonkeyPatch) -> None:
    """A quick end does not see that its own tick has written a lease document already."""

    def may_be_quick(self: Held1, disk: Disk) -> bool:
        disk.step("stat", "leases")
        return True

    patch.setattr(Held1, "_may_be_quick", may_be_quick)


def begin_after_a_long_sleep(patch: pytest.MonkeyPatch) -> None:
    """Who slept between the look and the start of the body does not look again."""
    patch.setattr(Held1, "may_begin", lambda _self, _disk, _clock: True)


OF_LOCAL_DISKS: tuple[Mutation, ...] = (
    take_without_a_lock,
    build_without_a_look,
    replace_success,
    succeed_beside_a_lease,
    create_success_without_the_folder_lock,
    unlock_before_success,
    record_after_success,
    replace_the_record,
    prove_nothing,
    announce_over_a_status,
    never_announce,
    tick_while_it_ends,
    trust_the_open_file,
    forget_own_locks,
    forget_the_mark,
    do_not_wait_for_the_mark,
    judge_by_process_alone,
    trust_any_lock,
    look_for_no_work,
    find_work_by_its_log_alone,
    keep_the_session_s_locks,
    forget_half_an_announcement,
    begin_after_a_long_sleep,
)
