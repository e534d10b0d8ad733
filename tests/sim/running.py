"""What runs a body and watches over it: template, keeper and the body itself.

They are processes of their own, which stand still and die one by one. The keeper's loop and the
template's are those of `run_step`, without their pipes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from marin_build.protocol.renewal import Keeping, Kept
from tests.sim.bucket import Client
from tests.sim.world import AFTER_WAKING, Actor

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.sim.bucket import Bucket, Faults
    from tests.sim.rules import Body, Judge
    from tests.sim.world import Host, World

REGISTER_AFTER = 5.0
KILLED, BROKEN = 137, 3


@dataclass(frozen=True, slots=True)
class Work:
    """What a body will do: how long, when it writes, and how it ends."""

    seconds: float
    writes: tuple[float, ...]
    exit_code: int
    artifact: int | None


class Keeper:
    """The process that renews the lease of the body that runs, and kills it when that fails."""

    def __init__(self, family: Family) -> None:
        self.actor = Actor(family.world, family.host, f"{family.name}.keeper")
        self._store = Client(family.bucket, family.faults, self.actor)
        self._keeping: Keeping | None = None
        self._kill: Callable[[], None] = lambda: None
        self._open = True
        self.actor.start(self._keep)

    def hold(self, output: str, nonce: str, held_since: float, kill: Callable[[], None]) -> None:
        clock, world = self.actor.host.boot_clock, self.actor.world
        self._keeping = Keeping(
            output, nonce, held_since=held_since, clock=lambda: clock(world.now)
        )
        self.actor.nonce = nonce
        self._kill = kill
        self.actor.wake()

    def release(self) -> None:
        self._keeping = None

    def close(self) -> None:
        self._open = False
        self.actor.wake()

    def _keep(self) -> None:
        actor, host, world = self.actor, self.actor.host, self.actor.world
        while self._open:
            keeping = self._keeping
            if keeping is None:
                actor.listen()
                continue
            patience = keeping.due - host.boot_clock(world.now)
            if patience > 0:
                actor.listen(patience + 0.001)
                continue
            kept = keeping.renew(self._store, host.wall(world.now))
            if world.trace is not None:
                world.note(actor, kept.name)
            if kept in (Kept.LOST, Kept.RELEASED) and self._keeping is keeping:
                self._keeping = None
                self._kill()


class Family:
    """An applier's children: one template, at most one body and one keeper at a time.

    Args:
        world, host, bucket, faults, judge: where they live.
        name: the applier's.
        answer: told how a body ended.

    """

    def __init__(
        self,
        world: World,
        host: Host,
        bucket: Bucket,
        faults: Faults,
        judge: Judge,
        *,
        name: str,
        answer: Callable[[int], None],
    ) -> None:
        self.world, self.host, self.bucket, self.faults, self.judge = (
            world, host, bucket, faults, judge,
        )  # fmt: skip
        self.name = name
        self._answer = answer
        self.template = Actor(world, host, f"{name}.template")
        self.template.on_death = self._template_died
        self.keeper: Keeper | None = None
        self.body: Actor | None = None
        self.artifact: int | None = None
        """What the last body returned."""
        self._count = 0

    def run(self, body: Body, work: Work, held_since: float) -> None:
        """Have the template start a body."""
        body.guards.append(self.template)  # and who asked for it, until it has begun
        self.template.call(0.01, lambda: self._fork(body, work, held_since))

    def ask_to_end(self, after: float, exit_code: int) -> None:
        """Send the body that runs a signal that it follows after a while."""
        body = self.body
        if body is not None:
            body.call(after, lambda: self._reap(body, exit_code))

    def kill(self) -> None:
        """Kill the body that runs."""
        body = self.body
        if body is not None and body.alive:
            body.kill()
            self._reap(body, KILLED)

    def release(self) -> None:
        """Have the keeper let go."""
        if self.keeper is not None:
            self.template.call(0.01, self._release)

    def parent_died(self) -> None:
        """Tell the template that its applier is gone."""
        self.template.call(0.01, self.template.kill)

    def _release(self) -> None:
        if self.keeper is not None:
            self.keeper.release()

    def _fork(self, body: Body, work: Work, held_since: float) -> None:
        self._count += 1
        actor = self.body = Actor(self.world, self.host, f"{self.name}.body{self._count}")
        actor.nonce = body.nonce
        self.world.note(actor, f"starts: {work}")
        stalled_until = max(guard.stalled_until for guard in body.guards)
        if stalled_until > body.checked_at:
            body.excused_until = stalled_until + AFTER_WAKING
        body.guards = [self.template]
        self.judge.began(body)
        for number, instant in enumerate(work.writes):
            actor.call(instant, lambda n=number: self.judge.write(actor, body, f"data-{n}"))  # type: ignore[misc]
        actor.call(work.seconds, lambda: self._reap(actor, work.exit_code, work))
        if work.seconds > REGISTER_AFTER:
            self.template.call(REGISTER_AFTER, lambda: self._register(actor, body, held_since))

    def _register(self, actor: Actor, body: Body, held_since: float) -> None:
        if not actor.alive:
            return
        if self.keeper is None or not self.keeper.actor.alive:
            self.keeper = Keeper(self)
            self.keeper.actor.on_death = self._keeper_died
        body.guards.append(self.keeper.actor)

        def kill() -> None:
            if actor.alive:
                actor.kill()
                self._reap(actor, KILLED)

        self.keeper.hold(body.output, body.nonce, held_since, kill)

    def _reap(self, actor: Actor, exit_code: int, work: Work | None = None) -> None:
        """Let the template see that a body ended."""
        actor.alive = False
        self.world.note(actor, f"ended with {exit_code}")
        self.artifact = work.artifact if work is not None else None

        def tell() -> None:
            if self.body is actor:
                self.body = None
                self._answer(exit_code)

        self.template.call(0.01, tell)

    def _keeper_died(self) -> None:
        self.template.call(0.01, self.template.kill)  # nobody keeps the leases: no work goes on

    def _template_died(self) -> None:
        body, self.body = self.body, None
        if body is not None:
            body.kill()
        if self.keeper is not None and self.keeper.actor.alive:
            self.keeper.close()
        self._answer(BROKEN)
