"""From a seed to a schedule on one machine: who builds what, and what goes wrong when."""

from __future__ import annotations

from dataclasses import dataclass, field
from random import Random
from typing import TYPE_CHECKING
from unittest.mock import patch

from marin_build.protocol import layout
from marin_build.store import kernel_locks
from tests.sim.bucket import Faults
from tests.sim.local_appliers import LocalApplier
from tests.sim.local_bodies import LocalWork
from tests.sim.local_collector import Collector
from tests.sim.local_habits import LocalHabits, Way
from tests.sim.local_protocol import PREFIX
from tests.sim.local_rules import LocalJudge
from tests.sim.machine import Machine
from tests.sim.world import Actor, Host, World

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.sim.machine import Process

_END = 20_000.0
_CALLS = (
    ("lock", "leases"), ("stat", "leases"), ("get", layout.LEASE), ("get", layout.STATUS),
    ("begin", layout.RECORD), ("write", layout.RECORD), ("put", "attempt-0001.log"),
    ("create", layout.LEASE), ("create", layout.STATUS), ("create", layout.RECORD),
    ("put", layout.STATUS), ("replace", layout.LEASE),
    ("replace", layout.STATUS), ("list", "t0"), ("create", layout.ARTIFACT),
    ("create", "attempt-0001.json"), ("delete", layout.LEASE), ("stat", "mark"),
)  # fmt: skip
"""Where something may go wrong: a system call and the name of a file."""
_DUELS = (
    ("create", layout.STATUS), ("create", layout.STATUS), ("create", layout.STATUS),
    ("create", layout.LEASE), ("create", layout.LEASE), ("begin", layout.RECORD),
    ("get", layout.STATUS), ("get", layout.LEASE), ("put", layout.STATUS), ("stat", "leases"),
    ("write", layout.RECORD), ("stat", "mark"), ("list", "t0"), ("stat", layout.RECORD),
    ("put", "attempt-0001.log"),
)  # fmt: skip
"""Where those that want the same target at once meet."""
_STRIKES = (
    "pause", "pause", "pause short", "pause short", "pause template", "pause keeper", "pause body",
    "pause machine", "crash", "crash", "crash all", "crash all", "crash template", "crash keeper",
    "crash everything", "crash body", "replace leases", "jump",
)  # fmt: skip
_SECONDS = ((0.001, 0.05), (0.01, 0.9), (0.8, 1.3), (0.8, 1.3), (2.0, 8.0), (20.0, 150.0))
_PATIENCE = 6.0
"""Seconds in which a run that is well goes on when nobody holds the target."""
_STALE = 70.0
"""The same where the lease document of another boot must age."""
_UNKNOWN = 100.0
"""The same where it is empty."""


@dataclass(slots=True)
class LocalSchedule:
    """One schedule of a machine, made from a seed."""

    seed: int
    trace: bool = False
    lines: list[str] = field(default_factory=list)
    requests: int = 0

    def run(self) -> None:
        """Run it.

        Raises:
            ViolationError: a rule does not hold.
            Exception: what the protocol should not have raised.

        """
        random = Random(self.seed)
        if random.random() < 0.1:  # two outputs share one byte of the leases file
            with patch.object(kernel_locks, "offset_of", lambda _inside: 7):
                self._run(random)
        else:
            self._run(random)

    def _run(self, random: Random) -> None:
        world = World(random, trace=self.trace)
        self.lines = world.trace if world.trace is not None else []
        machine = Machine(world, Host("h0", random), random)
        # A duel wants one target, at once: one that sees no kernel locks comes between.
        duel = random.random() < 0.3
        outputs = [f"{PREFIX}/t{i}" for i in range(1 if duel else random.choice((1, 1, 2, 3)))]
        judge = LocalJudge(world, machine, outputs)
        faults = _choose_faults(random, duel=duel)
        runs: list[LocalApplier] = []
        faults.hit = lambda actor, kind: _hit(world, machine, runs, actor, kind)
        work = _works(random, duel=duel)
        forces = random.random() < 0.15
        ways = _ways(random, duel=duel)
        judge.may_lose = not {Way.OLDER, Way.STRANGER}.isdisjoint(ways)
        for number, way in enumerate(ways):
            habits = LocalHabits(
                way,
                slots=random.choice((1, 1, 2)) if len(outputs) > 1 else 1,
                forces=frozenset(outputs) if forces and random.random() < 0.6 else frozenset(),
                retries=random.choice((0, 1, 2)),
                tick=random.choice((0.0, 0.05, 0.4)),
            )
            beside = runs[0] if runs and random.random() < 0.1 else None
            if beside is not None and {way, beside.habits.way} != {Way.KERNEL}:
                beside = None
            run = LocalApplier(
                world, machine, faults, judge, name=f"a{number}",
                targets=[(output, outputs[:i]) for i, output in enumerate(outputs)]
                if random.random() < 0.5 else [(output, []) for output in outputs],
                habits=habits, work=work, beside=beside,
                host=Host("elsewhere", random) if way is Way.STRANGER else None,
            )  # fmt: skip
            runs.append(run)
            later = random.random() * (0.02 if duel else 3.0)
            run.start(random.choice((0.0, 0.0, random.random(), later)))
        collects = random.random() < 0.15
        if collects:
            Collector(world, machine, faults, outputs).start(random.random() * 4.0)
        for run in runs:
            if random.random() < 0.5:
                kind = random.choice(_STRIKES)
                instant = random.choice((random.random() * 0.05, random.random() * 2.5))
                world.nobody.call(
                    instant,
                    lambda r=run, k=kind: _hit(
                        world, machine, runs, r.family.template.threads[0], k
                    ),  # type: ignore[misc]
                )
        cut = random.random() < 0.12
        if cut:
            self._cut_power(world, machine, random)
        world.run(_END)
        faults.at.clear()
        faults.among.clear()
        self._heal(world, machine, judge, faults, outputs, random)
        for output in outputs:
            judge.check_end(output, forced=forces or collects or cut)
        if world.failure is not None:
            raise world.failure
        self.requests = faults.count

    def _cut_power(self, world: World, machine: Machine, random: Random) -> None:
        """Have the machine go down some time, and its disk written out now and then before."""

        def cut() -> None:
            machine.cut_power(Host("h1", random))

        def sync() -> None:
            if machine.host.name == "h0":
                machine.sync()
                world.nobody.call(5.0, sync)

        world.nobody.call(random.uniform(0.0, 5.0), sync)
        world.nobody.call(random.choice((random.random() * 2.0, random.random() * 20.0)), cut)

    def _heal(
        self,
        world: World,
        machine: Machine,
        judge: LocalJudge,
        faults: Faults,
        outputs: list[str],
        random: Random,
    ) -> None:
        """Have one who is well finish whatever was left, without much waiting."""
        was_cut = machine.host.name == "h1"
        doubtful = frozenset(o for o in outputs if was_cut and judge.forget_doubtful(o))
        began = world.now
        until = max([began, *machine.busy_until()])
        if judge.has_empty_lease():
            patience = _UNKNOWN
        else:
            patience = _STALE if judge.has_documents_of_another_boot() else _PATIENCE
        healer = LocalApplier(
            world, machine, faults, judge, name="z",
            targets=[(output, []) for output in outputs],
            habits=LocalHabits(Way.KERNEL, forces=doubtful), work=lambda: LocalWork(0.1, (0.05,)),
        )  # fmt: skip
        healer.start(0.0)
        world.run(world.now + _END)
        for output in outputs:
            seconds = healer.finished.get(output, began) - until
            if seconds > patience:
                judge.late(output, seconds)
        for process in machine.processes:
            process.kill()
        if machine.locks:
            world.violate("something is locked, and nobody lives")


def _ways(random: Random, *, duel: bool) -> list[Way]:
    if duel:
        other = random.choice((Way.OLDER, Way.OLDER, Way.STRANGER, Way.KERNEL))
        ways = [Way.KERNEL, other]
        return ways if random.random() < 0.5 else ways[::-1]
    count = random.choice((1, 2, 2, 3))
    others: tuple[Way, ...] = random.choice(
        ((), (), (), (Way.OLDER,), (Way.OLDER,), (Way.STRANGER,), (Way.STRANGER,) * 2,
         (Way.DOCUMENTS,))
    )  # fmt: skip
    ways = [Way.KERNEL] * count
    for place, other in enumerate(others):
        ways.insert(random.randint(0, len(ways)), other) if place or count < 3 else None
    return ways


def _choose_faults(random: Random, *, duel: bool) -> Faults:
    faults, last = Faults(), random.choice((10, 30, 80))
    for _ in range(random.choice((0, 1, 1, 2, 3))):
        kind = (
            "refused"
            if random.random() < 0.2
            else random.choice(("early ", "late ")) + random.choice(_STRIKES)
        )
        if duel and random.random() < 0.5:
            kind = random.choice(("early ", "late ")) + random.choice(("pause", "pause short"))
            faults.among.setdefault(random.choice(_DUELS), {})[random.choice((1, 2, 2, 3))] = kind
        elif random.random() < 0.4:
            faults.at[random.randint(1, last)] = kind
        else:
            which = faults.among.setdefault(random.choice(_CALLS), {})
            which[random.choice((1, 1, 2, 2, 3, 4))] = kind
    return faults


def _works(random: Random, *, duel: bool) -> Callable[[], LocalWork]:
    fails = random.choice((0.0, 0.0, 0.2, 0.5))
    spans = random.choice((_SECONDS[:2], _SECONDS[2:4], _SECONDS[1:5], _SECONDS))
    starts = random.choice((0.0, 0.3, 0.6))
    threads = random.random() < 0.2
    late_share = random.choice((0.0, 0.9)) if duel else 0.0
    if duel:
        spans, starts = _SECONDS[:4], 0.1

    def work() -> LocalWork:
        seconds = random.uniform(*random.choice(spans))
        count = random.choice((1, 2, 3))
        child = ""
        late: tuple[float, ...] = ()
        if random.random() < starts and not threads:
            child = random.choice(("fork", "exec", "away"))
            longest = random.choice((seconds, seconds + 1.0, seconds + 30.0))
            late = tuple(sorted(random.random() * longest for _ in range(2)))
        return LocalWork(
            seconds,
            tuple(
                seconds * (late_share + (1 - late_share) * (i + random.random()) / count)
                for i in range(count)
            ),
            1 if random.random() < fails else 0,
            child,
            late,
            threads,
        )

    return work


def _hit(world: World, machine: Machine, runs: list[LocalApplier], actor: Actor, kind: str) -> None:
    """Have something happen to a process, or to those near it."""
    random = world.random
    near = next(
        (r for r in runs if actor.name == r.name or actor.name.startswith(f"{r.name}.")), None
    )
    if near is None or near.family is None:
        return
    world.note(actor, f"!! {kind}")
    verb, _, whom = kind.partition(" ")
    family = near.family
    long = random.choice((random.uniform(1.0, 4.0), random.uniform(4.0, 30.0), 90.0))
    match verb, whom:
        case "replace", _:
            near.judge.may_lose = True
            machine.replace_leases_file()
            return
        case "jump", _:
            machine.host.jump(random.choice((-1e5, -3600.0, 3600.0, 1e6)))
            return
        case "pause", "machine":
            world.freeze_host(machine.host, long)
            return
    victims: dict[str, list[Process | None]] = {
        "": [near.process],
        "short": [near.process],
        "keeper": [family.keeper.process] if family.keeper is not None else [],
        "template": [family.template],
        "body": list(family.bodies()),
        "all": list(family.all()),
        "everything": [*family.all(), *family.bodies()],
    }
    if whom in ("all", "everything") and verb == "crash":
        family.is_struck_whole = True
    for victim in victims[whom]:
        if victim is None or not victim.alive:
            continue
        if verb == "crash":
            victim.kill()
        else:
            victim.freeze(random.random() * 1.5 if whom == "short" else long)
