"""The numbers that steps returned, as tables of texts."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from marin_build.text.readable import shortened

if TYPE_CHECKING:
    from collections.abc import Mapping

    from marin_build.emit.report.facts import Report


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
                        cell_text(row.attributes.get(name))
                        for name in table.attributes[:_MOST_COLUMNS]
                    ],
                    "metrics": [
                        cell_text(row.of.metrics.get(name))
                        for name in table.metrics[:_MOST_COLUMNS]
                    ],
                }
                for row in table.rows[:_MOST_ROWS]
            ],
        }
        for table in report.metrics
    ]


def cell_text(value: Any) -> str:
    """Return a value of a table for people: six digits of a number are enough to compare."""
    match value:
        case None:
            return ""
        case bool():
            return "yes" if value else "no"
        case float():
            return f"{value:.6g}"
        case str():
            return shortened(value, _LONGEST)
    return shortened(json.dumps(value, ensure_ascii=False), _LONGEST)
