"""How far changes reach: the targets that each change reruns, and those of each group. Pure."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from marin_build.plan.decisions import Kind
from marin_build.plan.graph_shape import upstream
from marin_build.plan.reason_text import describe
from marin_build.plan.reasons import Cascade, IdentityChanged, NeverBuilt

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from marin_build.plan.decisions import Decision, Plan
    from marin_build.plan.estimate import PlanEstimate


@dataclass(frozen=True, slots=True)
class Cause:
    """One change at its root, and how many targets rerun for it.

    Args:
        target: id of the target that changed; for several with the same change, what their names
            have in common, `tokenize/*`.
        why: the change in words.
        reruns: how many targets are built because of it, itself included.
        seconds: the sum of their known durations; None if none is known.
        cost: the sum of their known costs in US dollars; None if none is known.

    """

    target: str
    why: str
    reruns: int
    seconds: float | None
    cost: float | None


@dataclass(frozen=True, slots=True)
class Group:
    """The requested targets whose names begin with the same part.

    Args:
        name: that part: `tokenize` of `tokenize/dclm`.
        reruns: how many of them are built.
        total: how many there are, with those that the requested ones need.
        seconds, cost: of those that are built, as for a `Cause`.

    """

    name: str
    reruns: int
    total: int
    seconds: float | None
    cost: float | None


@dataclass(frozen=True, slots=True)
class BlastRadius:
    """The causes, and the groups that have reruns; in both the one with most reruns is first."""

    causes: tuple[Cause, ...]
    groups: tuple[Group, ...]


def blast_radius(plan: Plan, estimate: PlanEstimate) -> BlastRadius:
    """Return the causes and groups of a plan. A target with two causes counts for both."""
    roots: dict[tuple[str, str], int] = {}
    first: list[str] = []
    several = set[int]()
    because: dict[int, int] = {}  # index of a target -> its causes as the bits of a number
    for decision in plan.of_kind(Kind.RUN):
        causes = 0
        if not isinstance(decision.reason, NeverBuilt):
            for dep in plan.targets.deps[decision.index]:
                causes |= because.get(dep, 0)
        if not causes or not _is_cascade(decision):
            key = _root(plan, decision)
            bit = roots.setdefault(key, len(roots))
            if bit == len(first):
                first.append(plan.targets.all[decision.index].id)
            else:
                several.add(bit)
            causes |= 1 << bit
        because[decision.index] = causes
    members: list[list[int]] = [[] for _ in roots]
    for index, causes in because.items():
        for bit in _bits(causes):
            members[bit].append(index)
    found = [
        Cause(
            folder if bit in several else first[bit],
            why,
            len(members[bit]),
            *_sums(members[bit], estimate),
        )
        for (folder, why), bit in roots.items()
    ]
    found.sort(key=lambda cause: -cause.reruns)
    return BlastRadius(tuple(found), _groups(plan, list(because), estimate))


def _is_cascade(decision: Decision) -> bool:
    reason = decision.reason
    return isinstance(reason, Cascade) or (
        isinstance(reason, IdentityChanged) and reason.is_cascade
    )


def _root(plan: Plan, decision: Decision) -> tuple[str, str]:
    """Return the folder and the words of a change: changes with the same ones are one cause."""
    head, slash, _ = plan.targets.all[decision.index].name.rpartition("/")
    reason = decision.reason
    if isinstance(reason, NeverBuilt):
        return "new targets", describe(reason)
    if isinstance(reason, IdentityChanged):
        own = [change.text for change in reason.changes if not change.path.startswith("deps.")]
        return f"{head}{slash}*", ", ".join(own) or describe(reason)
    return f"{head}{slash}*", describe(reason)


def _bits(number: int) -> Iterable[int]:
    while number:
        lowest = number & -number
        yield lowest.bit_length() - 1
        number ^= lowest


def _sums(indices: Sequence[int], estimate: PlanEstimate) -> tuple[float | None, float | None]:
    """Return the sums of the known seconds and of the known costs; None for one without any."""
    steps = [estimate.steps[index] for index in indices if index in estimate.steps]
    seconds = [step.seconds for step in steps if step.seconds is not None]
    costs = [step.cost for step in steps if step.cost is not None]
    return sum(seconds) if seconds else None, sum(costs) if costs else None


def _groups(plan: Plan, rerun: Sequence[int], estimate: PlanEstimate) -> tuple[Group, ...]:
    names = [target.name.partition("/")[0] for target in plan.targets.all]
    total = Counter(names[index] for index in upstream(plan.targets, plan.requested))
    members: dict[str, list[int]] = {}
    for index in rerun:
        members.setdefault(names[index], []).append(index)
    found = [
        Group(name, len(indices), total[name], *_sums(indices, estimate))
        for name, indices in members.items()
    ]
    return tuple(sorted(found, key=lambda group: -group.reruns))
