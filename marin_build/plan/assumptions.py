"""Assumptions for a what-if plan: targets that count as built, or as changed. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from marin_build.plan import reasons as why
from marin_build.quick_dataclass import dataclass

if TYPE_CHECKING:
    from collections.abc import Iterable

    from marin_build.pipeline.targets import Targets
    from marin_build.plan.reasons import Reason


@dataclass(frozen=True, slots=True)
class Assumptions:
    """Targets that a plan assumes to be changed or built, by index; `assume` makes it.

    Args:
        changed: targets that count as having another identity.
        built: targets that count as built.
        affected: the targets that would then have another identity: `changed`, and every target
            that needs one of them, directly or not. Built targets in between do not end this.

    """

    changed: frozenset[int] = frozenset()
    built: frozenset[int] = frozenset()
    affected: frozenset[int] = frozenset()

    def __bool__(self) -> bool:
        return bool(self.changed or self.built)


NOTHING_ASSUMED = Assumptions()


def assume(targets: Targets, changed: Iterable[int], built: Iterable[int]) -> Assumptions:
    """Return the assumptions; a target in both `changed` and `built` counts as built."""
    built = frozenset(built)
    changed = frozenset(changed) - built
    affected: set[int] = set()
    if changed:
        for index, deps in enumerate(targets.deps):  # topological: dependencies first
            if index in changed or any(dep in affected for dep in deps):
                affected.add(index)
    return Assumptions(changed, built, frozenset(affected))


def assumed_reason(targets: Targets, index: int, assumed: Assumptions) -> Reason | None:
    """Return the reason if the assumptions alone decide about a target; None if they do not."""
    if index in assumed.built:
        return why.AssumedBuilt()
    if index not in assumed.affected or not targets.all[index].step.is_built_by_code:
        return None
    if index not in assumed.changed:
        for dep in targets.deps[index]:
            if dep in assumed.affected and dep not in assumed.built:
                return why.Cascade(targets.all[dep].id)
    return why.AssumedChanged()  # itself, or behind a target that is assumed to be built
