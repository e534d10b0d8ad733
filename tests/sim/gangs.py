"""A gang in the simulation: an applier that leads, and ranks on machines of their own."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from marin_build.errors import MarinBuildError, StoreError
from marin_build.protocol.gang import (
    LOOK_EVERY,
    RankEnd,
    RankWatch,
    Standing,
    Verdict,
    gang_lease,
    look_as_rank,
    read_ends,
    stop_ranks,
    verdict,
    write_end,
    write_start,
)
from tests.sim.appliers import Applier
from tests.sim.bucket import Client
from tests.sim.rules import Body
from tests.sim.world import Actor, KilledError

if TYPE_CHECKING:
    from marin_build.protocol.held_target import Holding
    from marin_build.protocol.lease import Lease
    from tests.sim.bucket import Bucket, Faults
    from tests.sim.rules import Judge
    from tests.sim.running import Work
    from tests.sim.world import Host, World

_STOPPED = 143
PATIENCE = 120.0
"""Seconds a rank waits for its leader, and a leader for its ranks."""


@dataclass(frozen=True, slots=True)
class Rank:
    """One rank: waits for the lease of its launch, works while it is known to live, says how."""

    actor: Actor
    client: Client
    judge: Judge
    output: str
    launch: str
    number: int
    work: Work
    forced: bool

    def run(self) -> None:
        watch, writes, world = RankWatch(self.launch), list(self.work.writes), self.actor.world
        asked, began, next_look, body = world.now, 0.0, 0.0, None
        while body is not None or world.now < asked + PATIENCE:
            if world.now >= next_look:
                next_look = world.now + LOOK_EVERY
                standing = self._look(watch)
                if standing is Standing.STOP:
                    break
                is_in_time = not watch.is_over(self._clock())
                if standing is Standing.WORK and is_in_time and body is None:
                    began, body = world.now, self._begin(watch.attempt)
            if body is None:
                self.actor.wait(next_look - world.now)
                continue
            if watch.is_over(self._clock()):
                break
            if writes and world.now >= began + writes[0]:
                writes.pop(0)
                self.judge.write(self.actor, body, f"rank-{self.number}")
            if world.now >= began + self.work.seconds:
                self._end(watch.attempt, self.work.exit_code)
                return
            due = [next_look, began + self.work.seconds, *(began + at for at in writes[:1])]
            self.actor.wait(max(min(due) - world.now, 0.001))
        if watch.attempt:
            self._end(watch.attempt, _STOPPED)

    def _clock(self) -> float:
        return self.actor.host.boot_clock(self.actor.world.now)

    def _look(self, watch: RankWatch) -> Standing | None:
        try:
            return look_as_rank(self.client, self.output, watch, self._clock)
        except MarinBuildError:
            return None

    def _begin(self, attempt: int) -> Body:
        body = Body(
            self.output, self.launch, attempt, self.forced, [self.actor], launch=self.launch
        )
        self.actor.world.note(self.actor, f"starts: {self.work}")
        self.judge.began(body)
        return body

    def _end(self, attempt: int, code: int) -> None:
        end = RankEnd(launch=self.launch, attempt=attempt, rank=self.number, exit_code=code)
        for _ in range(3):
            try:
                write_end(self.client, self.output, end)
                return
            except MarinBuildError:
                self.actor.wait(1.0)


class Leader(Applier):
    """An applier whose bodies are rank 0 of a gang."""

    bucket: Bucket
    faults: Faults
    hosts: list[Host]
    size: int

    def lead(self, world: World, bucket: Bucket, faults: Faults, hosts: list[Host]) -> None:
        """Say where its ranks live."""
        self.world, self.bucket, self.faults, self.hosts = world, bucket, faults, hosts
        self.size = world.random.choice((2, 3))

    def lease(self, output: str, nonce: str) -> Lease:
        """Have an engine start the ranks too; return what the leader acquires with."""
        random = self.world.random
        self.launch = nonce
        for number in range(1, self.size):
            actor = Actor(self.world, random.choice(self.hosts), f"{nonce}.rank{number}")
            actor.nonce = nonce
            rank = Rank(
                actor, Client(self.bucket, self.faults, actor), self.judge, output, nonce,
                number, self.invent(), self.habits.forces,
            )  # fmt: skip
            actor.start(rank.run, random.choice((0.0, random.random() * 30.0)))
        return gang_lease(super().lease(output, nonce), nonce)

    def run_body(self, holding: Holding, work: Work, checked_at: float) -> int:
        """Run rank 0, long enough that the keeper has the lease, then wait for the others."""
        attempt, code = holding.lease.attempt, 1
        with suppress(StoreError):
            if not write_start(self.store, holding.output, launch=self.launch, attempt=attempt):
                return 1
            work = replace(work, seconds=work.seconds + 6.0)
            own = super().run_body(holding, work, checked_at)
            patience = PATIENCE + work.seconds
            code = own or self._wait_for_ranks(holding, self.world.now + patience)
        if not code:
            return 0
        end = RankEnd(launch=self.launch, attempt=attempt, rank=0, exit_code=code)
        if not stop_ranks(
            self.store, holding.output, end, range(1, self.size),
            clock=lambda: self.host.boot_clock(self.world.now), wait=self.actor.wait,
        ):  # fmt: skip
            raise KilledError  # the process ends; its lease ages
        return code

    def _wait_for_ranks(self, holding: Holding, until: float) -> int:
        while self.world.now < until and not self.interrupted:
            match verdict(self._ends(holding)):
                case Verdict.SUCCEEDED:
                    return 0
                case Verdict.FAILED:
                    return 1
            self.actor.wait(LOOK_EVERY)
        return 1

    def _ends(self, holding: Holding) -> list[RankEnd | None]:
        return read_ends(
            self.store,
            holding.output,
            launch=self.launch,
            attempt=holding.lease.attempt,
            ranks=range(1, self.size),
        )
