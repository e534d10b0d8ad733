"""What changed between two versions of targets: in their attributes and in their numbers. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from marin_build.plan.metrics.returned_numbers import difference
from marin_build.plan.metrics.varying_attributes import varying_attributes

if TYPE_CHECKING:
    from collections.abc import Mapping

    from marin_build.plan.metrics.hashed_step import HashedStep
    from marin_build.plan.metrics.metrics_table import MeasuredTarget
    from marin_build.plan.metrics.returned_numbers import Number


class Change(NamedTuple):
    """An attribute or a number, old and new; None where a side has none.

    `change` is by how much a number grew; None where that has no meaning.
    """

    kind: Literal["attribute", "metric"]
    name: str
    old: Any
    new: Any
    change: Number | None = None


@dataclass(frozen=True, slots=True)
class ChangedTarget:
    """Two versions of a target; None for a side that does not have it, or has not built it.

    Args:
        name: the step's name: the new one, if the two differ.
        old_id, new_id: the ids of the targets; None for a side that does not declare it.
        old, new: what was built and measured.
        changes: of attributes, and then of all numbers, also those that are the same.

    """

    name: str
    old_id: str | None
    new_id: str | None
    old: MeasuredTarget | None
    new: MeasuredTarget | None
    changes: tuple[Change, ...]


def changes_of(
    steps: Mapping[str, HashedStep],
    keys: tuple[str | None, str | None],
    old: MeasuredTarget | None,
    new: MeasuredTarget | None,
) -> tuple[Change, ...]:
    """Return how two versions of a target differ.

    Args:
        steps: key -> step, of both sides and of all that they were made from.
        keys: those of the old and of the new version; None for a side that does not have it.
        old, new: what was measured; None for a side that is not built.

    """
    before, after = keys
    found: list[Change] = []
    if before is not None and after is not None:
        varying = varying_attributes(steps, [before, after])
        was, now = varying.rows
        found += [Change("attribute", name, was.get(name), now.get(name)) for name in varying.names]
    olds, news = (each.metrics if each is not None else {} for each in (old, new))
    for name in dict.fromkeys((*news, *olds)):
        one, other = olds.get(name), news.get(name)
        found.append(Change("metric", name, one, other, difference(one, other)))
    return tuple(found)
