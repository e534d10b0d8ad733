"""A thread of a run on one machine: takes a target, has its body run, commits it or fails.

What `build_target` and `end_attempt` do, composed of the same calls.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, cast

from marin_build.errors import MarinBuildError, StoppedError
from marin_build.protocol import layout
from marin_build.protocol.acquire import Claimant
from marin_build.protocol.claim_outcomes import Finished, Foreign, Held
from marin_build.protocol.documents import FileEntry, Provenance, Publication, Record
from marin_build.protocol.held_target import Holding
from marin_build.protocol.lease import TIME_TO_LIVE, Lease
from marin_build.protocol.look import Watch
from marin_build.protocol.manifest import manifest_of
from marin_build.protocol.quick_holding import QuickHolding
from marin_build.run_step.announcer import ANNOUNCE_AFTER
from marin_build.store.lease_choice import MARK_SEEN_AFTER
from tests.sim.local_habits import Way
from tests.sim.local_protocol import MARK, Beginner
from tests.sim.local_truth import Execution

if TYPE_CHECKING:
    from marin_build.protocol.look import Seen
    from marin_build.store.base import Blob
    from tests.sim.local_appliers import LocalApplier
    from tests.sim.local_bodies import LocalWork
    from tests.sim.local_protocol import SimulatedLockFile
    from tests.sim.world import Actor

_ANNOUNCE = TIME_TO_LIVE * ANNOUNCE_AFTER
REGISTER_AFTER = 5.0
_FIRST_PAUSE, _LONGEST_PAUSE = 0.02, 2.0


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


class Slot:
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
        if now - holding.held_since < (_ANNOUNCE if holding.is_quick else REGISTER_AFTER):
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
    files = holding.lock._files
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
