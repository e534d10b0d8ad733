"""What happens in a round: drawn from its seed, so that the same round can be played again."""

from __future__ import annotations

import random
import signal
from dataclasses import dataclass

from .work import Step

LEASE = 2
"""Seconds: freezes go beyond it."""
QUICK_FROM = 100_000
"""Seeds from here on draw quick rounds: many steps, most of them over before they are announced,
and a strike every few tenths of a second."""
KINDS = (
    "script", "child", "body", "keeper", "template", "guard", "applier", "front",
    "ours", "nearly", "group", "everything",
)  # fmt: skip
"""What is struck: one process of a kind (see victims.py); or all of ours at once, all of ours but
one, the process group that was started, all of ours with all that the steps started."""
FREEZES = (*KINDS[:8], "ours", "everything")
_OFTEN = ("body",) * 60 + ("script",) * 60 + ("child",) * 24
"""Who is struck the most in quick rounds: the run goes on, and tries the step again."""
EARLY = ("applier", "front", "group", "ours")
"""Kinds that are there before any work is."""
_ENDS = {
    "script": (signal.SIGKILL, signal.SIGTERM, signal.SIGSEGV),
    "child": (signal.SIGKILL, signal.SIGTERM),
    "body": (signal.SIGKILL, signal.SIGKILL, signal.SIGTERM, signal.SIGSEGV),
    "applier": (signal.SIGKILL, signal.SIGKILL, signal.SIGTERM, signal.SIGSEGV, signal.SIGQUIT),
    "group": (signal.SIGKILL, signal.SIGQUIT, signal.SIGINT, signal.SIGTERM),
    "front": (signal.SIGKILL, signal.SIGTERM),
}


@dataclass(frozen=True, slots=True)
class Strike:
    """One signal.

    Args:
        after: seconds since the one before.
        kind: whom it strikes.
        number: the signal; SIGSTOP freezes.
        thaw: seconds until who is frozen goes on.
        dice: chooses among those there are.

    """

    after: float
    kind: str
    number: signal.Signals
    thaw: float
    dice: int

    def __str__(self) -> str:
        """Return it in a line."""
        how = f", {self.thaw} s" if self.number == signal.SIGSTOP else ""
        return f"after {self.after} s: {self.number.name} to {self.kind}{how}"


@dataclass(frozen=True, slots=True)
class Schedule:
    """A round.

    Args:
        seed: it was drawn from.
        steps: of the pipeline; the last one needs all others.
        is_remote: whether the prefix is in a bucket.
        faults: share of the requests for our own files that the bucket fails, of each sort.
        appliers: how many run at once.
        ways: how each is started: an isolation, "run.sh" or "make"; begun again when used up.
        strikes: in order.
        unlocks: whether what is left running is killed by `unlock --kill`, or waited for.
        lease: seconds a lease lives; a target is announced after a sixtieth of it.
        meet: seconds in which a victim of the kind that is wanted may appear.

    """

    seed: int
    steps: tuple[Step, ...]
    is_remote: bool
    faults: float
    appliers: int
    ways: tuple[str, ...]
    strikes: tuple[Strike, ...]
    unlocks: bool
    lease: int = LEASE
    meet: float = 1.0

    @classmethod
    def of(cls, seed: int, *, is_remote: bool | None = None) -> Schedule:
        """Draw a round from a seed.

        Args:
            seed: any number.
            is_remote: None: one round of six is, of those that are not quick.

        """
        if seed >= QUICK_FROM:
            return cls._quick(seed)
        dice = random.Random(f"chaos {seed}")
        remote = dice.random() < 1 / 6
        remote = remote if is_remote is None else is_remote
        ways = ("process", "worker", "thread", "run.sh", "make")
        return cls(
            seed=seed,
            steps=_steps(dice, is_remote=remote),
            is_remote=remote,
            faults=dice.choice((0.0, 0.02, 0.1)) if remote else 0.0,
            appliers=dice.choice((2, 2, 3) if not remote else (2,)),
            ways=tuple(dice.choice(ways) for _ in range(12)),
            strikes=tuple(_strike(dice) for _ in range(dice.randint(4, 14))),
            unlocks=dice.random() < 0.5,
        )

    @classmethod
    def _quick(cls, seed: int) -> Schedule:
        """Draw a round of quick steps on a local disk, where the kernel's locks are leases.

        One round of four has runs that use documents alone; those before them see no mark yet.
        """
        dice = random.Random(f"chaos {seed}")
        isolations = ("process", "worker", "thread", "process", "worker", "run.sh", "make")
        ways = [dice.choice(isolations) for _ in range(24)]
        if dice.random() < 1 / 4:
            for place in range(dice.randint(1, 6), len(ways), 2):
                ways[place] = "documents"
        names = tuple(f"s{number:02}" for number in range(dice.randint(12, 30)))
        steps = [_quick_step(dice, name) for name in names]
        return cls(
            seed=seed,
            steps=(*steps, _quick_step(dice, "end", needs=names)),
            is_remote=False,
            faults=0.0,
            appliers=dice.choice((2, 3)),
            ways=tuple(ways),
            strikes=tuple(_quick_strike(dice) for _ in range(dice.randint(150, 400))),
            unlocks=dice.random() < 0.5,
            lease=dice.choice((LEASE, 60, 60)),
            meet=0.05,
        )

    def __str__(self) -> str:
        """Return it in lines, for people."""
        place = f"a bucket with faults {self.faults}" if self.is_remote else "a folder"
        after = "unlocks" if self.unlocks else "waits"
        ways = " ".join(self.ways)
        lines = [
            f"seed {self.seed}: {self.appliers} appliers in {place}, {after}; {ways}",
            f"  leases of {self.lease} s",
            *(f"  step {step}" for step in self.steps),
            *(f"  {strike}" for strike in self.strikes),
        ]
        return "\n".join(lines)


def _steps(dice: random.Random, *, is_remote: bool) -> tuple[Step, ...]:
    names = ("a", "b", "c", "d")[: dice.randint(2, 4 if not is_remote else 3)]
    made = [_step(dice, name, is_remote=is_remote) for name in names]
    return (*made, _step(dice, "end", needs=names, is_remote=is_remote))


def _step(dice: random.Random, name: str, *, is_remote: bool, needs: tuple[str, ...] = ()) -> Step:
    kind = "function" if is_remote or dice.random() < 0.3 else "command"
    writers = ["self"]
    possible = ("child", "away") if kind == "command" else ("away",)
    if not is_remote:
        writers += [writer for writer in possible if dice.random() < 0.6]
    lines, pause = dice.choice(((3, 0.05), (10, 0.1), (10, 0.2), (8, 0.4), (30, 0.1), (40, 0.2)))
    return Step(name, kind, tuple(writers), lines, pause, dice.random() < 0.5, needs)


def _quick_step(dice: random.Random, name: str, needs: tuple[str, ...] = ()) -> Step:
    """Draw a step of milliseconds, of about the second after which it is announced, or longer."""
    kind = dice.choice(("function", "command"))
    possible = ("child", "away") if kind == "command" else ("away",)
    writers = ["self", *(writer for writer in possible if dice.random() < 0.3)]
    lines, pause = dice.choice(
        ((1, 0.01), (2, 0.01), (4, 0.01), (8, 0.1), (10, 0.1), (12, 0.1), (30, 0.1), (60, 0.1))
    )
    stubborn = dice.random() < 0.3
    return Step(name, kind, tuple(writers), lines, pause, stubborn, needs, retries=1000)


def _quick_strike(dice: random.Random) -> Strike:
    after = round(dice.choice((0.0, dice.uniform(0, 0.05), dice.uniform(0.0, 0.2))), 2)
    if dice.random() < 0.04:
        thaw = round(dice.choice((dice.uniform(0.05, 0.5), dice.uniform(0.8, 3.0))), 2)
        return Strike(after, dice.choice(FREEZES), signal.SIGSTOP, thaw, dice.randrange(1 << 16))
    kind = dice.choice((*KINDS, *_OFTEN))
    number = dice.choice(_ENDS.get(kind, (signal.SIGKILL,)))
    return Strike(after, kind, number, 0.0, dice.randrange(1 << 16))


def _strike(dice: random.Random) -> Strike:
    after = round(dice.choice((dice.uniform(0, 0.3), dice.uniform(0.2, 1.5))), 2)
    if dice.random() < 0.35:
        thaw = round(dice.choice((dice.uniform(0.05, 1), dice.uniform(LEASE, 2 * LEASE))), 2)
        return Strike(after, dice.choice(FREEZES), signal.SIGSTOP, thaw, dice.randrange(1 << 16))
    kind = dice.choice(KINDS)
    number = dice.choice(_ENDS.get(kind, (signal.SIGKILL,)))
    return Strike(after, kind, number, 0.0, dice.randrange(1 << 16))
