"""A run on one machine: slots that take, have bodies run, commit or fail; and its announcer."""

from __future__ import annotations

import enum
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, cast

from marin_build.errors import MarinBuildError, StoppedError
from marin_build.protocol import layout
from marin_build.protocol.acquire import Claimant, Finished, Foreign, Held
from marin_build.protocol.documents import FileEntry, Provenance, Publication, Record
from marin_build.protocol.held_target import Holding
from marin_build.protocol.lease import TIME_TO_LIVE, Lease
from marin_build.protocol.look import Watch
from marin_build.protocol.manifest import manifest_of
from marin_build.protocol.quick_holding import ANNOUNCE_AFTER, QuickHolding
from marin_build.run_step.announcer import Announcer
from marin_build.store.kernel_locks import KernelLocks
from marin_build.store.lease_choice import MARK_SEEN_AFTER
from tests.sim.local_family import LocalFamily
from tests.sim.local_protocol import MARK, PREFIX, Beginner, Mutex, SimulatedLockFile
from tests.sim.local_rules import Execution
from tests.sim.machine import Disk, Process

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable

    from marin_build.protocol.look import Seen
    from marin_build.store.base import Blob, Store
    from marin_build.store.kernel_locks import LockFile
    from tests.sim.bucket import Faults
    from tests.sim.local_family import LocalWork
    from tests.sim.local_rules import LocalJudge
    from tests.sim.machine import Machine
    from tests.sim.world import Actor, Host, World

ANNOUNCE = TIME_TO_LIVE * ANNOUNCE_AFTER
REGISTER_AFTER = 5.0
_FIRST_PAUSE, _LONGEST_PAUSE = 0.02, 2.0


class Way(enum.Enum):
    """How a run takes targets."""

    KERNEL = "kernel"
    DOCUMENTS = "documents"
    """This version, told to use documents: it takes the kernel lock all the same."""
    STRANGER = "stranger"
    """This version, on another machine that has the disk mounted: it sees no kernel locks."""
    OLDER = "older"
    """An older version on this machine: it knows neither kernel locks nor the mark."""


@dataclass(frozen=True, slots=True)
class LocalHabits:
    """How one run behaves."""

    way: Way
    slots: int = 1
    forces: frozenset[str] = frozenset()
    retries: int = 1
    tick: float = 0.0
    """Seconds by which its announcer is late at most."""


class OlderClaimant(Claimant):
    """A claimant that knows no notes in the place of records, and counts no logs as attempts."""

    __slots__ = ()

    def _record_without(self, seen: Seen) -> Blob | None:
        del seen
        return None

    def _next_attempt(self, seen: Seen, record: Blob | None) -> int:
        names = self.store.list(f"{self.output}/{layout.LOGS}")
        newest = max((layout.attempt_number(name) or 0 for name in names), default=0)
        return max(newest, seen.lease.attempt if seen.lease is not None else 0) + 1


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
        self.process = beside.process if beside is not None else Process(machine, name, self.host)
        self.process.runs += 1
        self.disk = Disk(machine, faults)
        self.store = cast("Store", self.disk)
        self.locks = self._kernel_locks() if habits.way in (Way.KERNEL, Way.DOCUMENTS) else None
        self.family: LocalFamily | None = None
        self.states: dict[str, str] = {}
        self.watched: dict[str, Watch] = {}
        self.announcer = Announcer(ANNOUNCE, lambda: self.host.monotonic(world.now))
        self.announcer._thread = cast("threading.Thread", self)  # noqa: SLF001 - an actor does it
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
            actor.start(_Slot(self, actor).run, after + 0.0001 * number)

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
            if not self.announcer._watched:  # noqa: SLF001
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


class _Slot:
    """A thread of a run, which builds one target after the other."""

    def __init__(self, run: LocalApplier, actor: Actor) -> None:
        self._run, self._actor = run, actor
        self._disk, self._store = run.disk, run.store
        self._pause = 0
        self._code: int | None = None

    def run(self) -> None:
        """Build until nothing is left, or nothing can be done."""
        run = self._run
        if run.habits.way in (Way.STRANGER, Way.DOCUMENTS):
            self._leave_the_mark()
        while True:
            output = self._next()
            if output is None:
                if not {"held", "building"} & set(run.states.values()):
                    break
                self._wait_for_others()
                continue
            run.states[output] = "building"
            state = self._build(output)
            if state == "failed" and run.retries[output]:
                run.retries[output] -= 1
                state = "ready"
            if state == "built":
                run.finished[output] = run.world.now
            run.states[output] = state
        run.slot_ended()
        self._actor.listen()

    def _leave_the_mark(self) -> None:
        """Do what `lease_choice` does where it needs documents."""
        while True:
            try:
                self._disk.put_if_absent(MARK, b"")
                break
            except MarinBuildError:
                self._actor.wait(0.1)
        self._actor.wait(MARK_SEEN_AFTER)

    def _next(self) -> str | None:
        states = self._run.states
        return next(
            (
                output
                for output, deps in self._run.targets
                if states[output] == "ready" and all(states[dep] == "built" for dep in deps)
            ),
            None,
        )

    def _wait_for_others(self) -> None:
        self._pause += 1
        self._actor.wait(min(_FIRST_PAUSE * 2 ** min(self._pause, 9), _LONGEST_PAUSE))
        for output, state in self._run.states.items():
            if state == "held":
                self._run.states[output] = "ready"

    def _build(self, output: str) -> str:
        run = self._run
        nonce, claimed = run.new_nonce(output), run.world.now
        self._actor.nonce = nonce
        try:
            got = self._claimant(output, nonce).acquire()
            match got:
                case Finished():
                    return "built"
                case Held():
                    self._watch(output, got)
                    return "held"
                case Foreign():
                    run.judge.blocked(output)
                    return "blocked"
                case Holding():
                    self._pause = 0
                    return self._attempt(got, claimed)
        except StoppedError:
            return "stopped"
        except MarinBuildError:
            return "failed"

    def _watch(self, output: str, held: Held) -> None:
        run = self._run
        now = run.host.monotonic(run.world.now)
        if held.version:
            watch = run.watched.setdefault(output, Watch(held.lease, held.version, now))
            watch.look(held.lease, held.version, now)
        run.judge.waits(run.name, output)

    def _claimant(self, output: str, nonce: str) -> Claimant:
        run, world = self._run, self._run.world
        watch = run.watched.get(output)
        is_stale = watch is not None and watch.is_stale(run.host.monotonic(world.now))
        way = run.habits.way
        return (OlderClaimant if way is Way.OLDER else Claimant)(
            self._store,
            output,
            target=output,
            lease=Lease(
                run.process.name, run.host.wall(world.now), run=run.name, nonce=nonce,
                boot=run.host.name, pid=1, start=1,
            ),
            is_abandoned=lambda lease: run.is_abandoned(output, lease),
            is_worked_on=lambda lease: run.is_worked_on(output, lease),
            clock=lambda: run.host.boot_clock(world.now),
            now=run.date(),
            force=output in run.habits.forces,
            stale_version=watch.version if watch is not None and is_stale else "",
            may_clear=lambda _: False,
            locks=run.locks,
            begin=Beginner(run.machine, self._disk).begin if way is Way.KERNEL else None,
        )  # fmt: skip

    def _attempt(self, holding: Holding, claimed: float) -> str:
        """Do what `build_target` and `end_attempt` do with a target that is ours."""
        run = self._run
        try:
            if isinstance(holding, QuickHolding):
                run.watch_over(holding)
            if not self._make_ready(holding):
                return "held"
            code = self._run_body(holding, run.invent(), claimed)
            return self._fail(holding) if code else self._commit(holding)
        except StoppedError:
            run.judge.lost(holding.output, holding.lease.nonce)
            return "held"
        finally:
            if self._actor.alive:
                run.announcer.forget(holding)
                holding.unlock()
                if run.family is not None:
                    run.family.release(holding.output)

    def _make_ready(self, holding: Holding) -> bool:
        """Delete what an earlier attempt left; return False if the target was lost."""
        if not self._is_held(holding):
            return False
        if holding.is_empty:
            return self._is_held(holding)
        names = [file.path for file in self._disk.files(holding.output)]
        data = [name for name in names if not layout.is_kept(name.partition("/")[0])]
        if not self._is_held(holding):
            return False
        self._disk.delete([f"{holding.output}/{name}" for name in data])
        return self._is_held(holding)

    def _is_held(self, holding: Holding) -> bool:
        run = self._run
        now = run.host.boot_clock(run.world.now)
        if now - holding.held_since < (ANNOUNCE if holding.is_quick else REGISTER_AFTER):
            return True
        return holding.renew(now, run.host.wall(run.world.now))

    def _run_body(self, holding: Holding, work: LocalWork, claimed: float) -> int:
        run = self._run
        assert run.family is not None
        way = run.habits.way
        execution = Execution(
            holding.output,
            holding.lease.nonce,
            "kernel" if way is Way.DOCUMENTS else way.value,
            holding.output in run.habits.forces,
            claimed,
            [run.process, run.family.template],
            # A leases file that was opened anew is not shared with the processes that start bodies.
            has_lock=lambda: run.judge.may_lose or has_lock(run, holding),
            checked_at=run.world.now,
        )
        self._code = None

        def answered(code: int) -> None:
            self._code = code
            if self._actor.alive:
                self._actor.wake()

        log = layout.log_path(holding.output, holding.lease.attempt)
        if log not in run.machine.files and not (work.in_thread and holding.is_quick):
            self._disk.put(log, b"")
        run.family.run(
            execution, log, work, holding.held_since, answered, is_locked=holding.is_quick
        )
        while self._code is None:
            self._actor.listen()
        return self._code

    def _fail(self, holding: Holding) -> str:
        if holding.fail("failed", 1, "it failed", self._run.date()):
            return "failed"
        self._run.judge.lost(holding.output, holding.lease.nonce)
        return "held"

    def _commit(self, holding: Holding) -> str:
        """Commit; if the disk is full, the attempt ends, and is tried again."""
        run, output, nonce = self._run, holding.output, holding.lease.nonce
        if not self._is_there(holding):
            raise StoppedError("its folder is another one")
        files = manifest_of(self._store, output)
        artifact = nonce if len(files) % 2 else None
        publication = Publication(
            record=_record(output, run.name, holding, run.world.now),
            has_artifact=artifact is not None,
            artifact=artifact,
            manifest=tuple(FileEntry(path=path, size=size) for path, size in files),
        )
        try:
            holding.commit(publication, run.date())
        except StoppedError:
            raise
        except MarinBuildError:
            with suppress(MarinBuildError):
                holding.fail("interrupted", 1, "it is not saved", run.date())
            return "failed"
        return "built"


    def _is_there(self, holding: Holding) -> bool:
        """Return what `Holding.is_there` does."""
        if isinstance(holding, QuickHolding):
            with holding.guard:
                if holding.is_quick:
                    return holding.begun.is_in_place()
        ours = (f"{holding.output}/{layout.STATUS}", f"{holding.output}/{layout.LEASE}")
        return any(path in self._run.machine.files for path in ours)


def has_lock(run: LocalApplier, holding: Holding) -> bool:
    """Return whether the kernel keeps the lock on what we hold, where it keeps any."""
    if run.locks is None:
        return True
    files = holding.lock._files  # noqa: SLF001 - nobody else asks
    return bool(files) and all(
        run.machine.has_locked(cast("SimulatedLockFile", file).description, offset)
        for file, offset in files
    )


_PROVENANCE = Provenance(user="u", host="h", argv=(), python="3", marin_build="0")


def _record(output: str, run: str, holding: Holding, now: float) -> Record:
    return Record(
        name="t", target=output, fn=None, attributes={}, fingerprint="f", deep_fingerprint="d",
        payload=holding.lease.nonce, code_digest=None, deps=(), provenance=_PROVENANCE, run=run,
        attempt=holding.lease.attempt, start="s", end=f"{now:012.4f}", seconds=1.0, exit_code=0,
        peak_memory_bytes=None,
    )  # fmt: skip
