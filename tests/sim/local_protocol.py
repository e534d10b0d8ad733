"""The protocol of a local disk, composed of its parts: kernel lock, quick path, announcing.

    take the kernel lock -> look -> nothing there: log, body, record, SUCCESS, unlock
                                 -> anything else: the documents of every store, under the lock too
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from marin_build.errors import StoppedError
from marin_build.protocol import layout
from marin_build.protocol.acquire import Claimant, Finished, Foreign, Held
from marin_build.protocol.held_target import Holding
from marin_build.protocol.lease import parse_lease
from marin_build.protocol.look import Seen, look
from marin_build.protocol.status import STATUS_RUNNING, STATUS_SUCCESS

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from marin_build.protocol.documents import Publication, Result
    from marin_build.protocol.lease import Lease
    from tests.sim.machine import Description, Disk, Machine, Process

PREFIX = "/sim"
MARK = f"{PREFIX}/.marin-build/documents"
ANNOUNCE_AFTER = 1.0
MARK_WAIT = 2.0
LOOK_IS_OLD = 0.5


@dataclass(frozen=True, slots=True)
class Busy:
    """The kernel lock is another's, or work of a dead attempt lives: nobody knows whose it is."""


@dataclass(slots=True)
class KernelLeases:
    """The leases file as one session has it open."""

    machine: Machine
    process: Process
    offset_of: Callable[[str], int]
    opened: Description | None = None
    shared_with: list[Process] = field(default_factory=list)
    """The template, once it is there."""
    all_opened: list[Description] = field(default_factory=list)
    table: dict[int, str] = field(default_factory=dict)

    def open(self) -> Description:
        """Open the file that lies there now; what is locked on another one stays locked."""
        self.opened = self.machine.open(self.process, self.machine.leases_file)
        self.opened.holders.update(process for process in self.shared_with if process.alive)
        self.all_opened.append(self.opened)
        return self.opened

    def take(self, output: str, disk: Disk) -> Description | None:
        """Take the lock of an output; None if another has it, or one of ours has its byte."""
        offset = self.offset_of(output)
        if not self._reserve(offset, output):
            return None
        while True:
            disk.step("open", "leases")
            opened = self.opened
            if opened is None or opened.file != self.machine.leases_file:
                opened = self.open()
            disk.step("lock", "leases")
            if not self.machine.try_lock(opened, offset):
                self.table.pop(offset, None)
                return None
            disk.step("stat", "leases")
            if self.is_in_place(opened):
                return opened
            self.machine.unlock(opened, offset)

    def _reserve(self, offset: int, output: str) -> bool:
        return self.table.setdefault(offset, output) is output

    def is_in_place(self, opened: Description) -> bool:
        return opened.file == self.machine.leases_file

    def release(self, output: str, opened: Description) -> None:
        offset = self.offset_of(output)
        self.machine.unlock(opened, offset)
        self.table.pop(offset, None)


@dataclass(slots=True)
class Mutex:
    """Keeps the announcing tick and the end of a step apart."""

    taken: bool = False

    def take(self, disk: Disk) -> None:
        while self.taken:
            disk.step("wait", "mutex")
        self.taken = True

    def free(self) -> None:
        self.taken = False


@dataclass(slots=True)
class Held1:
    """A target that we hold: by the kernel alone, or with documents.

    `documents` is there as soon as it is announced.
    """

    leases: KernelLeases | None
    opened: Description | None
    output: str
    lease: Lease
    began: datetime
    looked_at: float
    documents: Holding | None = None
    is_over: bool = False
    is_lost: bool = False
    mutex: Mutex = field(default_factory=Mutex)

    @property
    def attempt(self) -> int:
        return self.documents.lease.attempt if self.documents is not None else self.lease.attempt

    # The tick.

    def announce(self, disk: Disk, now: float) -> bool:
        """Write lease document and RUNNING; return False if the target is lost."""
        self.mutex.take(disk)
        try:
            if self.is_over or self.documents is not None:
                return True
            return self._announce(disk, now)
        finally:
            self.mutex.free()

    def _announce(self, disk: Disk, now: float) -> bool:
        if self.is_lost:
            return False
        path, status_path = f"{self.output}/{layout.LEASE}", f"{self.output}/{layout.STATUS}"
        version = disk.put_if_absent(path, self.lease.encode())
        if version is None:
            blob = disk.get(path)
            if blob is None or parse_lease(blob.data, path).nonce != self.lease.nonce:
                self.is_lost = True
                return False
            version = blob.version
        status_version = self._say_running(disk, status_path)
        if status_version is None:
            disk.delete_if(path, version)
            self.is_lost = True
            return False
        self.documents = Holding(
            disk, self.output, self.output, self.lease, version, status_version, now, self.began,
            is_first=True,
        )  # fmt: skip
        return True

    def _say_running(self, disk: Disk, path: str) -> str | None:
        return disk.put_if_absent(path, STATUS_RUNNING.encode())

    # The end.

    def commit(self, disk: Disk, publication: Publication, now: datetime, clock: float) -> None:
        """Commit.

        Raises:
            StoppedError: it was lost.

        """
        self.mutex.take(disk)
        try:
            if self.documents is None and not self._may_be_quick(disk):
                self._announce(disk, clock)
            if self.documents is not None:
                self.documents.store = disk
                self.documents.commit(publication, now)
            elif self.is_lost or not self._publish(disk, publication):
                self.is_lost = True
                raise StoppedError("another has it")
            self.is_over = True
        finally:
            self.mutex.free()
        self.release()

    def _may_be_quick(self, disk: Disk) -> bool:
        assert self.leases is not None
        assert self.opened is not None
        disk.step("stat", "leases")
        if not self.leases.is_in_place(self.opened):
            return False
        blob = disk.get(f"{self.output}/{layout.LEASE}")
        return blob is None  # our own half of an announcement: it is finished first

    def _publish(self, disk: Disk, publication: Publication) -> bool:
        """Write record and SUCCESS, each if nothing is there."""
        from marin_build.protocol.artifact import artifact_file

        record = publication.record.to_bytes()
        record_path = f"{self.output}/{layout.RECORD}"
        if disk.put_if_absent(record_path, record) is None:
            blob = disk.get(record_path)
            if blob is None or blob.data != record:
                return False
        if publication.has_artifact:
            artifact = artifact_file(publication.artifact, self.output)
            if disk.put_if_absent(f"{self.output}/{layout.ARTIFACT}", artifact) is None:
                blob = disk.get(f"{self.output}/{layout.ARTIFACT}")
                if blob is None or blob.data != artifact:
                    return False
        return self._say_success(disk)

    def _say_success(self, disk: Disk) -> bool:
        path = f"{self.output}/{layout.STATUS}"
        with disk.locked(path):
            if disk.get(f"{self.output}/{layout.LEASE}") is not None:
                return False
            return disk.link(path, STATUS_SUCCESS.encode()) is not None

    def fail(self, disk: Disk, result: Result, now: datetime, clock: float) -> bool:
        """End it without success; return False if it was lost."""
        self.mutex.take(disk)
        try:
            if self.documents is None and not self._announce(disk, clock):
                return False
            assert self.documents is not None
            self.documents.store = disk
            is_ours = self.documents.fail(result, 1, "it failed", now)
            self.is_over = True
        finally:
            self.mutex.free()
        self.release()
        return is_ours

    def release(self) -> None:
        """Let the kernel lock go."""
        self.is_over = True
        if self.leases is not None and self.opened is not None:
            self.leases.release(self.output, self.opened)
            self.leases = None

    def has_lock(self) -> bool:
        """Return whether its byte is locked, if it needs that."""
        if self.opened is None:
            return True
        if self.leases is None:
            return False
        offset = self.leases.offset_of(self.output)
        return self.leases.machine.has_locked(self.opened, offset)

    def is_in_place(self) -> bool:
        """Return whether its lock is on the file that others lock: asked by the body."""
        if self.documents is not None or self.leases is None or self.opened is None:
            return not self.is_lost
        return not self.is_lost and self.leases.is_in_place(self.opened)

    def may_begin(self, disk: Disk, clock: float) -> bool:
        """Return whether the body may begin, after whatever has kept us since the look."""
        if self.documents is not None or clock - self.looked_at < LOOK_IS_OLD:
            return True
        self.looked_at = clock
        disk.step("stat", "mark")
        seen = look(disk, self.output)
        return seen.lease is None and seen.status is None and not has_mark(disk)


def has_mark(disk: Disk) -> bool:
    """Return whether somebody builds here who cannot see kernel locks."""
    return disk.get(MARK) is not None


class OldAndNew(Claimant):
    """A claimant that counts logs as attempts."""

    __slots__ = ()

    def _next_attempt(self, seen: Seen) -> int:
        number = Claimant._next_attempt(self, seen)
        return max(number, newest_log(self.store, self.output) + 1)  # type: ignore[arg-type]


def newest_log(disk: Disk, output: str) -> int:
    """Return the number of the newest log."""
    names = disk.list(f"{output}/{layout.LOGS}")
    numbers = [name.removeprefix("attempt-").removesuffix(".log") for name in names]
    return max((int(number) for number in numbers if number.isdigit()), default=0)


@dataclass(frozen=True, slots=True)
class LocalClaimant:
    """A run that wants a target on a local disk.

    Args:
        leases: None: documents only.
        claimant: as on every store.
        is_left_working: whether what an unannounced attempt started still lives; gets its log.

    """

    disk: Disk
    leases: KernelLeases | None
    claimant: Claimant
    is_left_working: Callable[[str], bool]
    clock: float

    def acquire(self) -> Held1 | Busy | Held | Finished | Foreign:
        """Take the target, or tell why not."""
        output, disk = self.claimant.output, self.disk
        if self.leases is None:
            return self._with_documents(None)
        opened = self.leases.take(output, disk)
        if opened is None:
            return Busy()
        got: object = None
        try:
            got = self._under_the_lock(opened)
            return got
        finally:
            if not isinstance(got, Held1):
                self.leases.release(output, opened)

    def _under_the_lock(self, opened: Description) -> Held1 | Busy | Held | Finished | Foreign:
        output, disk = self.claimant.output, self.disk
        if not self._is_marked() and self._is_untouched():
            lease = replace(self.claimant.lease, attempt=1, job=kernel_word(opened))
            if self._prove(lease):
                return Held1(self.leases, opened, output, lease, self.claimant.now, self.clock)
        newest = newest_log(disk, output)
        if newest and self.is_left_working(layout.log_path(output, newest)):
            return Busy()
        return self._with_documents(opened)

    def _is_marked(self) -> bool:
        return has_mark(self.disk)

    def _is_untouched(self) -> bool:
        seen = look(self.disk, self.claimant.output)
        return seen.lease is None and seen.status is None and not self.disk.files(self.claimant.output)

    def _prove(self, lease: Lease) -> bool:
        """Create the log: whatever data lies here from now on is a build's."""
        path = layout.log_path(self.claimant.output, 1)
        return self.disk.link(path, lease.nonce.encode()) is not None

    def _with_documents(
        self, opened: Description | None
    ) -> Held1 | Busy | Held | Finished | Foreign:
        claimant = self.claimant
        if isinstance(claimant, OldAndNew):
            known = newest_log(self.disk, claimant.output) > 0
            claimant = replace(claimant, may_clear=lambda _: known)
        if opened is not None:
            lease = replace(claimant.lease, job=kernel_word(opened))
            judged = claimant.is_abandoned
            left_working = claimant.is_worked_on

            def is_abandoned(lease: Lease) -> bool:
                return is_let_go(lease, opened) and not left_working(lease) or judged(lease)

            claimant = replace(
                claimant,
                lease=lease,
                is_abandoned=is_abandoned,
            )
        got = claimant.acquire()
        if not isinstance(got, Holding):
            return got
        return Held1(
            self.leases, opened, claimant.output, got.lease, claimant.now, self.clock, got
        )


def kernel_word(opened: Description) -> str:
    """Return what a lease document says of the lock that its holder has."""
    return f"kernel:{opened.file}"


def is_let_go(lease: Lease, opened: Description) -> bool:
    """Return whether a lease's holder is gone, since we have the lock that it had."""
    return lease.job == kernel_word(opened)
