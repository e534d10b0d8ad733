"""The numbers that steps returned, as tables of texts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from marin_build.text.readable import shortened
from marin_build.text.values import attribute_text, number_text

if TYPE_CHECKING:
    from collections.abc import Mapping

    from marin_build.emit.report.facts import Report
    from marin_build.plan.metrics.returned_numbers import Number


_MOST_ROWS = 500
_MOST_COLUMNS = 12
_LONGEST = 80


def metric_tables(report: Report, place: Mapping[str, int]) -> list[dict[str, Any]]:
    """Return each table: its columns, and the cells of its rows as texts."""
    return [
        {
            "attributes": table.attributes[:_MOST_COLUMNS],
            "metrics": table.metrics[:_MOST_COLUMNS],
            "more_metrics": len(table.metrics[_MOST_COLUMNS:]),
            "total": len(table.rows),
            "rows": [
                {
                    "place": place.get(row.of.target, -1),
                    "name": row.of.name,
                    "attributes": [
                        _attribute(row.attributes, name)
                        for name in table.attributes[:_MOST_COLUMNS]
                    ],
                    "metrics": [
                        _metric(row.of.metrics, name) for name in table.metrics[:_MOST_COLUMNS]
                    ],
                }
                for row in table.rows[:_MOST_ROWS]
            ],
        }
        for table in report.metrics
    ]


def _attribute(attributes: Mapping[str, Any], name: str) -> str:
    return shortened(attribute_text(attributes[name]), _LONGEST) if name in attributes else ""


def _metric(metrics: Mapping[str, Number], name: str) -> str:
    return number_text(metrics[name]) if name in metrics else ""
