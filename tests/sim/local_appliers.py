"""A run on one machine: slots that look, take, have bodies run, commit or fail; and its tick."""

from __future__ import annotations

import enum
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from marin_build.errors import MarinBuildError, StoppedError
from marin_build.protocol import layout
from marin_build.protocol.acquire import Claimant, Finished, Foreign, Held
from marin_build.protocol.documents import FileEntry, Provenance, Publication, Record
from marin_build.protocol.lease import Lease
from marin_build.protocol.look import Watch
from marin_build.protocol.manifest import manifest_of
from tests.sim.local_family import LocalFamily
from tests.sim.local_protocol import (
    ANNOUNCE_AFTER,
    MARK,
    MARK_WAIT,
    Busy,
    Held1,
    KernelLeases,
    LocalClaimant,
    OldAndNew,
)
from tests.sim.local_rules import Execution
from tests.sim.machine import Disk, Process

if TYPE_CHECKING:
    from collections.abc import Callable

    from marin_build.protocol.lease import Host as MachineName
    from tests.sim.bucket import Faults
    from tests.sim.local_family import LocalWork
    from tests.sim.local_rules import LocalJudge
    from tests.sim.machine import Machine
    from tests.sim.world import Host, World

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
    """Seconds by which its tick is late at most."""


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
        offset_of: Callable[[str], int],
        host: Host | None = None,
        beside: LocalApplier | None = None,
    ) -> None:
        self.world, self.machine, self.faults, self.judge = world, machine, faults, judge
        self.name, self.habits, self.invent, self._targets = name, habits, work, targets
        self.host = host or machine.host
        self.process = beside.process if beside is not None else Process(machine, name, self.host)
        self.process.runs += 1
        self._sees_kernel = habits.way in (Way.KERNEL, Way.DOCUMENTS)
        self.leases = (
            KernelLeases(machine, self.process, offset_of) if self._sees_kernel else None
        )
        self.family: LocalFamily | None = None
        self.states: dict[str, str] = {}
        self._watched: dict[str, Watch] = {}
        self._held: list[tuple[float, Held1]] = []
        self._ticker = self.process.thread(f".{name}.tick")
        self._tick_disk = Disk(machine, faults, self._ticker)
        self._count = 0
        self._running_slots = habits.slots
        self.finished: dict[str, float] = {}
        """Target -> when it was found or made built."""

    def start(self, after: float) -> None:
        """Begin after some seconds."""
        self.states = {output: "ready" for output, _ in self._targets}
        self._retries = dict.fromkeys(self.states, self.habits.retries)
        if self.leases is not None:  # opened before anything is forked, which shares it
            self.leases.open()
        self.family = LocalFamily(self.machine, self.faults, self.judge, self.process)
        if self.leases is not None:
            self.leases.shared_with.append(self.family.template)
        self._ticker.start(self._tick, after)
        for number in range(self.habits.slots):
            actor = self.process.thread(f".{self.name}.{number}")
            slot = _Slot(self, Disk(self.machine, self.faults, actor))
            actor.start(slot.run, after + 0.0001 * number)

    def slot_ended(self) -> None:
        """Take note that a slot has nothing left to do."""
        self._running_slots -= 1
        if self._running_slots:
            return
        if self.leases is not None:
            self.judge.check_idle(self.name, self.leases)
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

    def watch_over(self, held: Held1) -> None:
        """Have the tick announce a target that is held by the kernel alone."""
        late = self.world.random.random() * self.habits.tick
        self._held.append((self.world.now + ANNOUNCE_AFTER + late, held))
        self._ticker.wake()

    def _tick(self) -> None:
        while True:
            self._held = [(due, held) for due, held in self._held if not held.is_over]
            if not self._held:
                self._ticker.listen()
                continue
            due, held = min(self._held, key=lambda it: it[0])
            if due > self.world.now:
                self._ticker.listen(due - self.world.now)
                continue
            self._held.remove((due, held))
            self._ticker.nonce = held.lease.nonce
            try:
                is_ours = held.announce(self._tick_disk, self.host.boot_clock(self.world.now))
            except MarinBuildError:
                self._held.append((self.world.now + 0.2, held))
                continue
            if not is_ours and self.family is not None:
                self.family.kill(held.output)

    # What it sees of others.

    def is_abandoned(self, lease: Lease) -> bool:
        """Return whether a holder was a process of this machine that is gone, with its work."""
        if lease.boot != self.host.name:
            return False
        processes = [it for it in self.machine.processes if it.name == lease.worker]
        is_dead = bool(processes) and not processes[0].alive
        return is_dead and not self.is_worked_on(lease)

    def is_worked_on(self, lease: Lease) -> bool:
        """Return whether something that an attempt started lives on this machine."""
        if lease.boot != self.host.name:
            return False
        return self._lives(layout.log_path(lease.run, lease.attempt), lease.nonce)

    def is_left_working(self, log: str) -> bool:
        """Return the same for an attempt that left nothing but its log."""
        blob = self.machine.files.get(log)
        return self._lives(log, blob.data.decode() if blob is not None else "")

    def _lives(self, log: str, nonce: str) -> bool:
        marked = any(it.alive and it.mark == nonce for it in self.machine.processes)
        return self.machine.is_locked(log) or (bool(nonce) and marked)

    def date(self) -> datetime:
        return datetime.fromtimestamp(self.host.wall(self.world.now), UTC)


class _Slot:
    """A thread of a run, which builds one target after the other."""

    def __init__(self, run: LocalApplier, disk: Disk) -> None:
        self._run, self._disk = run, disk
        self._actor = disk.actor
        self._pause = 0
        self._code: int | None = None

    def run(self) -> None:
        """Build until nothing is left, or nothing can be done."""
        run = self._run
        if run.habits.way is Way.STRANGER or run.habits.way is Way.DOCUMENTS:
            self._put_the_mark()
        while True:
            output = self._next()
            if output is None:
                if not {"held", "building"} & set(run.states.values()):
                    break
                self._wait_for_others()
                continue
            run.states[output] = "building"
            state = self._build(output)
            if state == "failed" and run._retries[output]:
                run._retries[output] -= 1
                state = "ready"
            if state == "built":
                run.finished[output] = run.world.now
            run.states[output] = state
        run.slot_ended()
        self._actor.listen()

    def _put_the_mark(self) -> None:
        while True:
            try:
                self._disk.put_if_absent(MARK, b"")
                break
            except MarinBuildError:
                self._actor.wait(0.1)
        if self._run.habits.way is Way.STRANGER:
            self._actor.wait(MARK_WAIT)

    def _next(self) -> str | None:
        states = self._run.states
        return next(
            (
                output
                for output, deps in self._run._targets
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
            got = self._claim(output, nonce)
            match got:
                case Finished():
                    return "built"
                case Busy():
                    assert run.leases is not None
                    run.judge.waits(run.name, output, run.leases.offset_of(output))
                    return "held"
                case Held():
                    now = run.host.monotonic(run.world.now)
                    watch = run._watched.setdefault(output, Watch(got.lease, got.version, now))
                    watch.look(got.lease, got.version, now)
                    return "held"
                case Foreign():
                    if run.habits.way is not Way.OLDER:
                        run.judge.blocked(output)
                    return "blocked"
                case Held1():
                    self._pause = 0
                    return self._attempt(got, claimed)
        except StoppedError:
            return "stopped"
        except MarinBuildError:
            return "failed"

    def _claim(self, output: str, nonce: str) -> Held1 | Busy | Held | Finished | Foreign:
        run, world = self._run, self._run.world
        watch = run._watched.get(output)
        is_stale = watch is not None and watch.is_stale(run.host.monotonic(world.now))
        is_new = run.habits.way is not Way.OLDER
        claimant = (OldAndNew if is_new else Claimant)(
            self._disk,  # type: ignore[arg-type]
            output,
            target=output,
            lease=Lease(
                run.process.name, run.host.wall(world.now), run=output, nonce=nonce,
                boot=run.host.name, pid=1, start=1,
            ),
            is_abandoned=run.is_abandoned,
            is_worked_on=run.is_worked_on,
            clock=lambda: run.host.boot_clock(world.now),
            now=run.date(),
            force=output in run.habits.forces,
            stale_version=watch.version if watch is not None and is_stale else "",
            may_clear=lambda _: False,
        )  # fmt: skip
        local = LocalClaimant(
            self._disk, run.leases, claimant, run.is_left_working, claimant.clock()
        )
        return local.acquire()

    def _attempt(self, held: Held1, claimed: float) -> str:
        """Do what an attempt does, from the taken target to its end."""
        run, output = self._run, held.output
        run.watch_over(held)
        clock = lambda: run.host.boot_clock(run.world.now)  # noqa: E731
        code, files = 1, []
        work = run.invent()
        try:
            if held.documents is not None:
                self._clear(held)
            if not held.may_begin(self._disk, clock()):
                held.is_lost = True
            checked_at = run.world.now
            if held.is_lost:
                held.release()
                return "held"
            code = self._run_body(held, work, claimed, checked_at)
            if not code:
                files = manifest_of(self._disk, output)  # type: ignore[arg-type]
        except StoppedError:
            held.release()
            return "stopped"
        except MarinBuildError:
            code = 1
        try:
            if code:
                if held.fail(self._disk, "failed", run.date(), clock()):
                    return "failed"
                run.judge.lost(output, held.lease.nonce)
                return "held"
            entries = tuple(FileEntry(path=path, size=size) for path, size in files)
            artifact = held.lease.nonce if len(files) % 2 else None
            record = _record(output, run.name, held, run.world.now)
            publication = Publication(
                record=record, has_artifact=artifact is not None, artifact=artifact,
                manifest=entries,
            )  # fmt: skip
            self._commit(held, publication, clock)
        except StoppedError:
            run.judge.lost(output, held.lease.nonce)
            return "held"
        except MarinBuildError:
            return "failed"
        finally:
            if self._actor.alive:
                held.release()
                if run.family is not None:
                    run.family.release(output)
        return "built"

    def _commit(
        self, held: Held1, publication: Publication, clock: Callable[[], float]
    ) -> None:
        """Commit; a store that refuses is asked again."""
        for tries in range(3):
            try:
                held.commit(self._disk, publication, self._run.date(), clock())
                return
            except StoppedError:
                raise
            except MarinBuildError:
                if tries == 2:
                    raise
                self._actor.wait(0.2)

    def _run_body(
        self, held: Held1, work: LocalWork, claimed: float, checked_at: float
    ) -> int:
        run = self._run
        assert run.family is not None
        way = run.habits.way
        kind = "kernel" if way in (Way.KERNEL, Way.DOCUMENTS) else way.value
        execution = Execution(
            held.output, held.lease.nonce, kind, held.output in run.habits.forces, claimed,
            [run.process, run.family.template], has_lock=held.has_lock, checked_at=checked_at,
        )  # fmt: skip
        self._code = None

        def answered(code: int) -> None:
            self._code = code
            if self._actor.alive:
                self._actor.wake()

        if not run.family.template.alive and not work.in_thread:
            return 1
        log = layout.log_path(held.output, held.attempt)
        if log not in run.machine.files:
            self._disk.put(log, held.lease.nonce.encode())
        since = held.looked_at if held.documents is None else held.documents.held_since
        run.family.run(execution, log, work, since, answered, held.is_in_place)
        while self._code is None:
            self._actor.listen()
        return self._code

    def _clear(self, held: Held1) -> None:
        """Delete what an earlier attempt left."""
        if held.attempt == 1 and not held.lease.nonce in self._run.judge.forcing:
            return
        names = [file.path for file in self._disk.files(held.output)]
        self._disk.delete(
            [f"{held.output}/{n}" for n in names if not layout.is_ours(n.partition("/")[0])]
        )


_PROVENANCE = Provenance(user="u", host="h", argv=(), python="3", marin_build="0")


def _record(output: str, run: str, held: Held1, now: float) -> Record:
    return Record(
        name="t", target=output, fn=None, attributes={}, fingerprint="f", deep_fingerprint="d",
        payload=held.lease.nonce, code_digest=None, deps=(), provenance=_PROVENANCE, run=run,
        attempt=held.attempt, start="s", end=f"{now:012.4f}", seconds=1.0, exit_code=0,
        peak_memory_bytes=None,
    )  # fmt: skip
