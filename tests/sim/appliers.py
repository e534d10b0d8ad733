"""An applier: looks, acquires, waits for others, has bodies run, commits or fails.

What `Applier` and `build_target` do for one target at a time, composed of the same calls.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from marin_build.errors import MarinBuildError, StoppedError
from marin_build.protocol.acquire import Claimant
from marin_build.protocol.claim_outcomes import Finished, Foreign, Held
from marin_build.protocol.documents import FileEntry, Provenance, Publication, Record
from marin_build.protocol.held_target import Holding
from marin_build.protocol.lease import Lease
from marin_build.protocol.look import Seen, Watch, look
from marin_build.protocol.manifest import manifest_of
from marin_build.protocol.newest_attempt import newest_attempt
from marin_build.protocol.state_machine import Event, see
from marin_build.run_step.output_folder import clear_leftovers
from tests.sim.bucket import Client
from tests.sim.rules import Body
from tests.sim.running import REGISTER_AFTER, Family, Work
from tests.sim.world import Actor

if TYPE_CHECKING:
    from collections.abc import Callable

    from marin_build.store.base import Store
    from tests.sim.bucket import Bucket, Faults
    from tests.sim.rules import Judge
    from tests.sim.world import Host, World

GRACE, GRACE_AFTER_KILL = 10.0, 2.0
INTERRUPTED = 130
_PROVENANCE = Provenance(user="u", host="h", argv=(), python="3", marin_build="0")


@dataclass(frozen=True, slots=True)
class Habits:
    """How one applier behaves."""

    forces: bool
    retries: int
    look_every: float
    snapshot: bool
    """Whether it starts from an old look at everything."""


class Applier:
    """One run. `work` invents the next body; `targets` are (output, dependencies' outputs)."""

    def __init__(
        self,
        world: World,
        host: Host,
        bucket: Bucket,
        faults: Faults,
        judge: Judge,
        *,
        name: str,
        targets: list[tuple[str, list[str]]],
        habits: Habits,
        work: Callable[[], Work],
    ) -> None:
        self.world, self.host, self.judge, self.name = world, host, judge, name
        self.actor = Actor(world, host, name)
        self.actor.on_death = self._died
        self.family = Family(world, host, bucket, faults, judge, name=name, answer=self._answered)
        self._client = Client(bucket, faults, self.actor)
        self.store: Store = self._client
        self._targets = targets
        self.habits = habits
        self.invent = work
        self.launch = ""
        """Of a gang that it leads."""
        self._answer: int | None = None
        self.interrupted = False
        self._nonces: list[str] = []
        self._watched: dict[str, Watch] = {}
        self._unread: dict[str, Seen] = {}

    def interrupt(self) -> None:
        """Press Ctrl-C: the body may end by itself, then it is killed, then the run ends."""
        if self.interrupted or not self.actor.alive:
            return
        self.world.note(self.actor, "is interrupted")
        self.interrupted = True
        random = self.world.random.random
        if random() < 0.7:
            self.family.ask_to_end(random() * GRACE, INTERRUPTED)
        self.actor.call(GRACE, self.family.kill)
        self.actor.call(GRACE + GRACE_AFTER_KILL, self.actor.kill)

    def is_gone(self, lease: Lease) -> bool:
        """Return whether, seen from this host, a holder and all it started are dead."""
        return lease.boot == self.host.name and self.judge.is_dead(lease.nonce)

    def is_dead(self) -> bool:
        """Return whether the process and its body are gone."""
        body = self.family.body
        return not self.actor.alive and (body is None or not body.alive)

    def run(self) -> None:
        """Build all targets, as far as that is possible."""
        if self.habits.snapshot:
            self._take_snapshot()
        states = {output: "ready" for output, _ in self._targets}
        retries = dict.fromkeys(states, self.habits.retries)
        while not self.interrupted:
            index = next(
                (
                    (output, deps)
                    for output, deps in self._targets
                    if states[output] == "ready" and all(states[dep] == "built" for dep in deps)
                ),
                None,
            )
            if index is None:
                if "held" not in states.values():
                    break
                self._look_at_held(states)
                continue
            output = index[0]
            state = states[output] = self._build(output)
            if state == "failed" and retries[output]:
                retries[output] -= 1
                states[output] = "ready"

    def _take_snapshot(self) -> None:
        for output, _ in self._targets:
            try:
                seen = look(self.store, output)
                newest = newest_attempt(self.store, output) or None
            except MarinBuildError:
                continue
            self._unread[output] = Seen(
                seen.status, seen.status_version, seen.lease, seen.lease_version, newest
            )
        self.actor.wait(self.world.random.choice((0.0, 1.0, 100.0)))

    def _look_at_held(self, states: dict[str, str]) -> None:
        self.actor.wait(self.habits.look_every)
        for output, state in states.items():
            if state != "held":
                continue
            self._client.idle = True
            try:
                seen = look(self.store, output)
            except MarinBuildError:
                continue
            finally:
                self._client.idle = False
            now = self.host.monotonic(self.world.now)
            if seen.lease is not None:
                self._watched[output].look(seen.lease, seen.lease_version, now)
            stale = seen.lease is not None and (
                self._watched[output].is_stale(now) or self.is_gone(seen.lease)
            )
            force = self.habits.forces
            sight = see(seen, nonce="", stale=stale, force=force)
            if sight is not Event.SAW_HOLDER:
                states[output] = "ready"

    def _build(self, output: str) -> str:
        """Do what `build_target` does; return what became of the target."""
        actor, world = self.actor, self.world
        nonce = f"{self.name}-{len(self._nonces)}"
        self._nonces.append(nonce)
        self.judge.holders[nonce] = self
        actor.nonce = nonce
        if self.habits.forces:
            self.judge.forcing.add(nonce)
        watch = self._watched.get(output)
        stale = ""
        if watch is not None and watch.is_stale(self.host.monotonic(world.now)):
            stale = watch.version
        claimant = Claimant(
            self.store,
            output,
            target=output,
            lease=self.lease(output, nonce),
            is_abandoned=self.is_gone,
            clock=lambda: self.host.boot_clock(world.now),
            now=self._date(),
            force=self.habits.forces,
            stale_version=stale,
        )  # fmt: skip
        try:
            got = claimant.acquire(self._unread.pop(output, None))
            match got:
                case Finished():
                    return "built"
                case Held():
                    now = self.host.monotonic(world.now)
                    watch = self._watched.setdefault(output, Watch(got.lease, got.version, now))
                    watch.look(got.lease, got.version, now)
                    return "held"
                case Holding():
                    return self._attempt(output, got)
                case Foreign():
                    raise AssertionError("a claimant that clears nothing does not look")
        except StoppedError:
            return "stopped"
        except MarinBuildError:
            return "failed"

    def lease(self, output: str, nonce: str) -> Lease:
        """Return what it acquires with."""
        host = self.host.name
        return Lease(
            f"u@{host}", self.host.wall(self.world.now), run=self.name,
            nonce=nonce, boot=host, pid=1, start=1,
        )  # fmt: skip

    def _attempt(self, output: str, holding: Holding) -> str:
        """Do what `_Attempt.run` does."""
        self.judge.opened(output, holding.lease)
        code, files, artifact = 1, [], None
        try:
            if not self._is_held(holding) or not self._clear(holding):
                return "stopped"
            checked_at = self.world.now
            if not self._is_held(holding):
                return "stopped"
            work = self.invent()
            code = self.run_body(holding, work, checked_at)
            if not code:
                files = manifest_of(self.store, output)
                code = 0 if len(files) >= len(work.writes) else 1
                artifact = self.family.artifact
        except MarinBuildError:
            code = 1
        try:
            if code:
                result = "interrupted" if self.interrupted else "failed"
                if not holding.fail(result, code, "it failed", self._date()):  # type: ignore[arg-type]
                    return "stopped"
                return result
            entries = tuple(FileEntry(path=path, size=size) for path, size in files)
            publication = Publication(
                record=_record(output, self.name, holding.lease.attempt),
                has_artifact=artifact is not None,
                artifact=artifact,
                manifest=entries,
            )
            try:
                holding.commit(publication, self._date())
            except StoppedError:
                self.judge.gave_up(output, holding.lease.nonce)
                raise
        finally:
            if self.actor.alive:
                self.family.release()
        return "built"

    def run_body(self, holding: Holding, work: Work, checked_at: float) -> int:
        """Have a body run to its end; return its exit code."""
        body = Body(
            holding.output, holding.lease.nonce, holding.lease.attempt,
            self.habits.forces, [self.actor], launch=self.launch, checked_at=checked_at,
        )  # fmt: skip
        self._answer = None
        if not self.family.template.alive:
            return 1
        self.family.run(body, work, holding.held_since)
        while self._answer is None:
            self.actor.listen()
        return self._answer

    def _answered(self, code: int) -> None:
        self._answer = code
        if self.actor.alive:
            self.actor.wake()

    def _clear(self, holding: Holding) -> bool:
        if holding.lease.attempt == 1 and not self.habits.forces:
            return True
        return clear_leftovers(self.store, holding.output, is_held=lambda: self._is_held(holding))

    def _is_held(self, holding: Holding) -> bool:
        now = self.host.boot_clock(self.world.now)
        if now - holding.held_since < REGISTER_AFTER:
            return True
        return holding.renew(now, self.host.wall(self.world.now))

    def _date(self) -> datetime:
        return datetime.fromtimestamp(self.host.wall(self.world.now), UTC)

    def _died(self) -> None:
        """The process is gone; its children hear of it, and who looks from this host sees it."""
        self.family.parent_died()


def _record(output: str, run: str, attempt: int) -> Record:
    return Record(
        name="t", target=output, fn=None, attributes={}, fingerprint="f", deep_fingerprint="d",
        payload="{}", code_digest=None, deps=(), provenance=_PROVENANCE, run=run,
        attempt=attempt, start="s", end="e", seconds=1.0, exit_code=0, peak_memory_bytes=None,
    )  # fmt: skip
