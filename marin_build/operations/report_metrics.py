"""The numbers that the targets of a report returned, in one table for each kind of step."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from marin_build.plan.metrics.hashed_step import HashedStep
from marin_build.plan.metrics.metrics_table import MeasuredTarget, metrics_table
from marin_build.plan.metrics.returned_numbers import returned_numbers

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from marin_build.observe.read_made import MadeOutput
    from marin_build.pipeline.targets import Targets
    from marin_build.plan.metrics.metrics_table import MetricsTable


_MOST_TABLES = 12


def tables_of(
    targets: Targets, made: Sequence[MadeOutput], requested: Collection[str]
) -> tuple[MetricsTable, ...]:
    """Return the numbers of built targets; those that returned the same ones share a table.

    Args:
        targets: the pipeline's.
        made: what the targets of the report returned.
        requested: ids; their tables come first, and then the longest ones.

    """
    kinds: dict[tuple[str, ...], list[MeasuredTarget]] = {}
    for one in made:
        numbers = returned_numbers(one.returned) if one.output.is_built else {}
        if numbers:
            measured = MeasuredTarget(one.output.target, one.output.name, numbers)
            kinds.setdefault(tuple(numbers), []).append(measured)
    if not kinds:
        return ()
    steps = _steps(targets)
    tables = [metrics_table(rows, [row.target for row in rows], steps) for rows in kinds.values()]
    tables.sort(key=lambda table: (-_requested(table, requested), -len(table.rows)))
    return tuple(tables[:_MOST_TABLES])


def _requested(table: MetricsTable, requested: Collection[str]) -> bool:
    return any(row.of.target in requested for row in table.rows)


def _steps(targets: Targets) -> dict[str, HashedStep]:
    """Return id -> step of all targets, so that attributes of what these need are compared, too."""
    return {
        target.id: HashedStep(
            target.name,
            json.loads(target.step.payload),
            target.step.version,
            {(id_ := targets.all[dep].id): id_ for dep in targets.deps[index]},
        )
        for index, target in enumerate(targets.all)
    }
