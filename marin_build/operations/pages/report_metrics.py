"""The numbers that the targets of a report returned, in one table for each kind of step."""

from __future__ import annotations

from typing import TYPE_CHECKING

from marin_build.operations.metrics.targets_to_measure import targets_of
from marin_build.plan.metrics.metrics_table import MeasuredTarget, metrics_table
from marin_build.plan.metrics.returned_numbers import returned_numbers

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from marin_build.emit.report.facts import ReportedTarget
    from marin_build.operations.loading.loading import Loaded
    from marin_build.plan.metrics.hashed_step import HashedStep
    from marin_build.plan.metrics.metrics_table import MetricsTable


_MOST_TABLES = 12


def tables_of(
    loaded: Loaded,
    indices: Sequence[int],
    reported: Sequence[ReportedTarget],
    requested: Collection[str],
) -> tuple[MetricsTable, ...]:
    """Return the numbers of built targets; those that returned the same ones share a table.

    Args:
        loaded: the pipeline.
        indices: of the targets of the report.
        reported: these, in the same order.
        requested: ids; their tables come first, and then the longest ones.

    """
    rows = [
        (MeasuredTarget(one.node.id, one.node.name, numbers), loaded.targets.all[index].output_path)
        for index, one in zip(indices, reported, strict=True)
        if (numbers := returned_numbers(one.returned))
    ]
    if not rows:
        return ()
    steps = targets_of(loaded, indices).declared
    return tables_by_kind(rows, steps, requested)


def tables_by_kind(
    rows: Sequence[tuple[MeasuredTarget, str]],
    steps: Mapping[str, HashedStep],
    requested: Collection[str] = (),
) -> tuple[MetricsTable, ...]:
    """Return the numbers of targets; those that returned the same ones share a table.

    Args:
        rows: the targets, each with its output path.
        steps: output path -> step, of these targets and all that they need.
        requested: ids; their tables come first, and then the longest ones.

    """
    kinds: dict[tuple[str, ...], list[tuple[MeasuredTarget, str]]] = {}
    for row, path in rows:
        kinds.setdefault(tuple(row.metrics), []).append((row, path))
    tables = [
        metrics_table([row for row, _ in own], [path for _, path in own], steps)
        for own in kinds.values()
    ]
    tables.sort(key=lambda table: (-_requested(table, requested), -len(table.rows)))
    return tuple(tables[:_MOST_TABLES])


def _requested(table: MetricsTable, requested: Collection[str]) -> bool:
    return any(row.of.target in requested for row in table.rows)
