"""What if: targets that count as built, or as having another identity. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from marin_build.plan import reasons as why

if TYPE_CHECKING:
    from collections.abc import Iterable

    from marin_build.pipeline.targets import Targets
    from marin_build.plan.reasons import Reason


@dataclass(frozen=True, slots=True)
class Assumptions:
    """What is assumed, by index; `assume` makes it.

    Args:
        changed: targets that count as having another identity.
        built: targets that count as built.
        affected: what would then have another identity: `changed`, and what needs it. It passes
            through what is built: what needs a target of another identity has another one itself.

    """

    changed: frozenset[int] = frozenset()
    built: frozenset[int] = frozenset()
    affected: frozenset[int] = frozenset()

    def __bool__(self) -> bool:
        return bool(self.changed or self.built)


NOTHING_ASSUMED = Assumptions()


def assume(targets: Targets, changed: Iterable[int], built: Iterable[int]) -> Assumptions:
    """Return the assumptions; a target in both is built."""
    built = frozenset(built)
    changed = frozenset(changed) - built
    affected: set[int] = set()
    if changed:
        for index, deps in enumerate(targets.deps):  # topological: dependencies first
            if index in changed or any(dep in affected for dep in deps):
                affected.add(index)
    return Assumptions(changed, built, frozenset(affected))


def assumed_reason(targets: Targets, index: int, assumed: Assumptions) -> Reason | None:
    """Return the reason for a decision that the assumptions alone make; None if they do not."""
    if index in assumed.built:
        return why.AssumedBuilt()
    if index not in assumed.affected or targets.all[index].step.fn is None:
        return None
    if index not in assumed.changed:
        for dep in targets.deps[index]:
            if dep in assumed.affected and dep not in assumed.built:
                return why.Cascade(targets.all[dep].id)
    return why.AssumedChanged()  # itself, or beyond something that is assumed to be built
