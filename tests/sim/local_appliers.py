"""A run on one machine: its slots, its announcer, and what it sees of others."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, cast

from marin_build.protocol import layout
from marin_build.protocol.lease import TIME_TO_LIVE, Lease
from marin_build.run_step.announcer import ANNOUNCE_AFTER, Announcer
from marin_build.store.kernel_locks import KernelLocks
from tests.sim.local_disk import Disk
from tests.sim.local_family import LocalFamily
from tests.sim.local_habits import Way
from tests.sim.local_protocol import PREFIX, Mutex, SimulatedLockFile
from tests.sim.local_slots import Slot
from tests.sim.machine import Process

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable

    from marin_build.protocol.look import Watch
    from marin_build.protocol.quick_holding import QuickHolding
    from marin_build.store.base import Store
    from marin_build.store.lock_file import LockFile
    from tests.sim.bucket import Faults
    from tests.sim.local_bodies import LocalWork
    from tests.sim.local_habits import LocalHabits
    from tests.sim.local_rules import LocalJudge
    from tests.sim.machine import Machine
    from tests.sim.world import Host, World

ANNOUNCE = TIME_TO_LIVE * ANNOUNCE_AFTER


class LocalApplier:
    """One run: a process, unless it shares that of another run."""

    def __init__(
        self,
        world: World,
        machine: Machine,
        faults: Faults,
        judge: LocalJudge,
        *,
        name: str,
        targets: list[tuple[str, list[str]]],
        habits: LocalHabits,
        work: Callable[[], LocalWork],
        host: Host | None = None,
        beside: LocalApplier | None = None,
    ) -> None:
        self.world, self.machine, self.faults, self.judge = world, machine, faults, judge
        self.name, self.habits, self.invent, self.targets = name, habits, work, targets
        self.host = host or machine.host
        self.process: Process = (
            beside.process if beside is not None else Process(machine, name, self.host)
        )
        self.process.runs += 1
        self.disk: Disk = Disk(machine, faults)
        self.store: Store = cast("Store", self.disk)
        self.locks = self._kernel_locks() if habits.way in (Way.KERNEL, Way.DOCUMENTS) else None
        self.family: LocalFamily | None = None
        self.states: dict[str, str] = {}
        self.watched: dict[str, Watch] = {}
        self.announcer = Announcer(ANNOUNCE, lambda: self.host.monotonic(world.now))
        self.announcer._thread = cast("threading.Thread", self)
        self._ticker = self.process.thread(f".{name}.tick")
        self._count = 0
        self._running_slots = habits.slots
        self.finished: dict[str, float] = {}
        """Target -> when it was found or made built."""

    def _kernel_locks(self) -> KernelLocks:
        def open_file(_folder: str, *, create: bool) -> LockFile:
            del create
            if self.lock_files:  # the first one is opened before anything runs
                self.disk.step("open", "leases")
            file = SimulatedLockFile(self.machine, self.disk, self.process)
            self.lock_files.append(file)
            return cast("LockFile", file)

        self.lock_files: list[SimulatedLockFile] = []
        return KernelLocks(
            PREFIX,
            is_quick=self.habits.way is Way.KERNEL,
            open_file=open_file,
            guard=Mutex(self.disk),
        )

    def start(self, after: float) -> None:
        """Begin after some seconds."""
        self.states = {output: "ready" for output, _ in self.targets}
        self.retries = dict.fromkeys(self.states, self.habits.retries)
        if self.locks is not None:
            self.locks.open()
        self.family = LocalFamily(self.machine, self.faults, self.judge, self.process)
        self._ticker.start(self._tick, after)
        for number in range(self.habits.slots):
            actor = self.process.thread(f".{self.name}.{number}")
            actor.start(Slot(self, actor).run, after + 0.0001 * number)

    def slot_ended(self) -> None:
        """Take note that a slot has nothing left to do."""
        self._running_slots -= 1
        if self._running_slots:
            return
        if self.locks is not None:
            self.judge.check_idle(self.name, [it.description for it in self.lock_files])
        self.process.runs -= 1
        if not self.process.runs:
            self.world.nobody.call(0.0, self.process.kill)

    @property
    def is_over(self) -> bool:
        """Whether it has ended, or died."""
        return not self._running_slots or not self.process.alive

    def new_nonce(self, output: str) -> str:
        self._count += 1
        nonce = f"{self.name}-{self._count}"
        if output in self.habits.forces:
            self.judge.forcing.add(nonce)
        if self.habits.way is Way.OLDER:
            self.judge.older.add(nonce)
        return nonce

    def watch_over(self, holding: QuickHolding) -> None:
        """Have a target announced that only the kernel keeps."""
        holding.guard = Mutex(self.disk)

        def lost() -> None:
            if self.family is not None:
                self.family.kill(holding.output)

        self.announcer.watch(holding, lost)
        self._ticker.wake()

    def _tick(self) -> None:
        while True:
            if not self.announcer._watched:
                self._ticker.listen()
                continue
            self._ticker.wait(ANNOUNCE / 4 + self.world.random.random() * self.habits.tick)
            self._ticker.nonce = ""
            self.announcer.announce_due()

    # What it sees of others.

    def is_abandoned(self, output: str, lease: Lease) -> bool:
        """Return what `Session.is_abandoned` does."""
        if lease.lock and self.locks is not None and self.locks.is_free(output, lease.lock):
            return not self.is_worked_on(output, lease)
        if lease.boot != self.host.name:
            return False
        processes = [it for it in self.machine.processes if it.name == lease.worker]
        is_dead = bool(processes) and not processes[0].alive
        return is_dead and not self.is_worked_on(output, lease)

    def is_worked_on(self, output: str, lease: Lease) -> bool:
        """Return whether something that an attempt started lives on this machine."""
        if lease.boot != self.host.name:
            return False
        marked = any(it.alive and it.mark == lease.nonce for it in self.machine.processes)
        return marked or self.machine.is_locked(layout.log_path(output, lease.attempt))

    def date(self) -> datetime:
        return datetime.fromtimestamp(self.host.wall(self.world.now), UTC)
