"""From a seed to a schedule: who builds what, on which machines, and what goes wrong when."""

from __future__ import annotations

from dataclasses import dataclass, field
from random import Random
from typing import TYPE_CHECKING

from marin_build.protocol import layout
from tests.sim.appliers import Applier, Habits
from tests.sim.bucket import Bucket, Faults
from tests.sim.gangs import Leader
from tests.sim.rules import Judge
from tests.sim.running import Work
from tests.sim.world import Actor, Host, World

if TYPE_CHECKING:
    from collections.abc import Callable

_END = 20_000.0
"""Seconds of virtual time in which everything must have ended."""
_REQUEST_FAULTS = ("refused", "lost", "later", "twice", "again", "slow")
_REQUESTS = (
    ("get", layout.LEASE), ("get", layout.STATUS), ("get", layout.RECORD),
    ("create", layout.LEASE), ("replace", layout.LEASE), ("delete", layout.LEASE),
    ("create", layout.STATUS), ("replace", layout.STATUS), ("create", layout.RECORD),
    ("create", layout.ARTIFACT), ("create", "attempt-0001.json"), ("create", "attempt-0002.json"),
    ("list", layout.LOGS), ("list", "t0"),
)  # fmt: skip
"""Where something may go wrong: a verb and the name of a file."""
_ACTOR_FAULTS = (
    "pause", "pause", "pause", "pause all", "pause all", "pause host", "pause short", "crash",
    "crash", "crash host", "crash keeper", "crash template", "pause keeper", "pause template",
    "interrupt", "away", "away",
)  # fmt: skip


@dataclass(slots=True)
class Schedule:
    """One schedule, made from a seed. Two with one seed are the same, event by event.

    Args:
        seed: decides everything.
        digests: versions are digests of the bytes, as on S3.
        forcing: whether some build what is built.
        gangs: whether a body is a gang of several hosts.

    """

    seed: int
    digests: bool = False
    forcing: bool = True
    gangs: bool = False
    trace: bool = False
    lines: list[str] = field(default_factory=list)
    requests: int = 0

    def run(self) -> None:
        """Run it.

        Raises:
            ViolationError: an invariant did not hold.
            Exception: what the protocol should not have raised.

        """
        random = Random(self.seed)
        world = World(random, trace=self.trace)
        self.lines = world.trace if world.trace is not None else []
        bucket = Bucket(world, digests=self.digests)
        # A crowd wants one target, all at once, and mostly by force: publishers meet rebuilders.
        crowd = random.random() < 0.2
        outputs = [f"gs://t{i}" for i in range(1 if crowd else random.choice((1, 1, 1, 2, 3)))]
        judge = Judge(world, bucket, outputs, digests=self.digests)
        hosts = [Host(f"h{i}", random) for i in range(random.choice((1, 2, 2, 3)))]
        faults = _choose_faults(random, crowd=crowd)
        forces = self.forcing and (crowd or random.random() < 0.3)
        appliers: list[Applier] = []
        faults.hit = lambda actor, kind: _hit(world, appliers, actor, kind)
        targets = [(output, outputs[:i]) for i, output in enumerate(outputs)]
        work = _works(random)
        for i in range(random.choice((3, 4) if crowd else (1, 2, 2, 3, 4))):
            habits = Habits(
                forces=forces and random.random() < (0.85 if crowd else 0.6),
                retries=random.choice((0, 0, 1, 2)),
                look_every=random.choice((1.0, 3.0, 10.0)),
                snapshot=random.random() < 0.3,
            )
            applier = (Leader if self.gangs else Applier)(
                world, random.choice(hosts), bucket, faults, judge,
                name=f"a{i}", targets=targets, habits=habits, work=work,
            )  # fmt: skip
            if isinstance(applier, Leader):
                applier.lead(world, bucket, faults, hosts)
            appliers.append(applier)
            start = random.choice((0.0, 0.0, random.random() * 3.0, random.random() * 150.0))
            applier.actor.start(applier.run, start)
        for applier in appliers:
            if random.random() < 0.3:
                kind = random.choice(_ACTOR_FAULTS)
                instant = random.random() * 150.0
                world.nobody.call(
                    instant,
                    lambda a=applier, k=kind: _hit(world, appliers, a.actor, k),  # type: ignore[misc]
                )
        world.run(_END)
        # The faults are over: one who is well must be able to finish whatever was left.
        faults.at.clear()
        faults.among.clear()
        habits = Habits(forces=False, retries=0, look_every=5.0, snapshot=False)
        healer = Applier(
            world, Host("healthy", random), bucket, faults, judge,
            name="z", targets=targets, habits=habits, work=lambda: Work(1.0, (0.5,), 0, None),
        )  # fmt: skip
        healer.actor.start(healer.run)
        world.run(world.now + _END)
        for output in outputs:
            judge.check_end(output, forced=forces)
        if world.failure is not None:
            raise world.failure
        self.requests = faults.count


def _choose_faults(random: Random, *, crowd: bool) -> Faults:
    """Choose at which requests something goes wrong: by number, or by what is asked."""
    faults, last = Faults(), random.choice((8, 20, 60, 200))
    for _ in range(random.choice((1, 2, 3) if crowd else (0, 1, 1, 2, 3, 5))):
        if crowd and random.random() < 0.6:
            kind = random.choice(("early pause", "late pause"))
        elif random.random() < 0.5:
            kind = random.choice(_REQUEST_FAULTS)
        else:
            kind = random.choice(("early ", "late ")) + random.choice(_ACTOR_FAULTS)
        if random.random() < 0.5:
            faults.at[random.randint(1, last)] = kind
        else:
            which = faults.among.setdefault(random.choice(_REQUESTS), {})
            which[random.choice((1, 1, 2, 2, 3, 4, 6))] = kind
    return faults


def _works(random: Random) -> Callable[[], Work]:
    """Return what invents bodies."""
    fails = random.choice((0.0, 0.0, 0.2, 0.5))
    longest = random.choice((3.0, 3.0, 30.0, 150.0))

    def work() -> Work:
        seconds = random.uniform(0.1, longest)
        count = random.choice((1, 2, 3)) + int(seconds / 10)
        return Work(
            seconds,
            tuple(seconds * (i + random.random()) / count for i in range(count)),
            1 if random.random() < fails else 0,
            random.choice((None, 1, 2)),
        )

    return work


def _hit(world: World, appliers: list[Applier], actor: Actor, kind: str) -> None:
    """Have something happen to an actor, or to those near it."""
    random = world.random
    verb, _, whom = kind.partition(" ")
    near = next((a for a in appliers if actor.name.partition(".")[0] == a.name), None)
    if near is None:
        return
    keeper = near.family.keeper.actor if near.family.keeper is not None else None
    victims: dict[str, list[Actor | None]] = {
        "": [actor],
        "short": [actor],
        "keeper": [keeper] if keeper is not None else [],
        "template": [near.family.template],
        "all": [near.actor, near.family.template, keeper, near.family.body],
    }
    world.note(actor, f"!! {kind}")
    long = random.choice((random.uniform(4.0, 60.0), random.uniform(60.0, 100.0), 200.0))
    match verb, whom:
        case "pause", "host":
            world.freeze_host(actor.host, long)
        case "crash", "host":
            for other in list(world.actors):
                if other.host is actor.host:
                    other.kill()
        case "interrupt", _:
            near.interrupt()
        case "away", _:
            actor.host.away_until = world.now + long
        case _:
            for victim in victims.get(whom, []):
                if victim is None or not victim.alive:
                    continue
                if verb == "crash":
                    victim.kill()
                else:
                    victim.freeze(random.random() * 2.0 if whom == "short" else long)
