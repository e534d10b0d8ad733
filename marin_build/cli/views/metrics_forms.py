"""A table of metrics, for people and for programs."""

from __future__ import annotations

import csv
import io
import json
import shutil
import sys
from typing import TYPE_CHECKING, Any

from marin_build.cli.terminal import echo
from marin_build.cli.views.metrics_cells import csv_cell, fact_text, json_value
from marin_build.cli.views.text_table import TextColumn, lay_out
from marin_build.emit.markdown import code, table
from marin_build.text.readable import printable
from marin_build.text.values import attribute_text, number_text

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from marin_build.cli.views.metrics_cells import Form
    from marin_build.operations.metrics.metrics import FoundMetrics, MetricsRequest
    from marin_build.plan.metrics.metrics_table import Column, MetricsRow, MetricsTable


_SCHEMA_VERSION = 1
_HEADINGS = {"seconds": "time"}
_NONE = "-"
_MORE_NAMED = 4
_ATTRIBUTES_FIRST = 3
"""Attributes that stay beside the numbers where there is no room for all columns."""


def show_table(found: FoundMetrics, request: MetricsRequest, form: Form) -> None:
    """Print a table.

    Args:
        found: the table, and the notes on what is not in it.
        request: what was asked for.
        form: how it is shown.

    """
    made = found.table
    if form == "json":
        write_json(metrics_document(found))
    elif form == "csv":
        write_csv([column.key for column in made.columns()], map(dict.values, made.flat_rows()))
    elif form == "markdown":
        shown = _text_columns(made, request)
        cells = zip(*(column.cells for column in shown), strict=True) if made.rows else ()
        write_markdown([column.heading for column in shown], list(cells))
    else:
        _show_text(made, request)


def metrics_document(found: FoundMetrics) -> dict[str, Any]:
    """Return the document of `--json`."""
    made = found.table
    return {
        "schema_version": _SCHEMA_VERSION,
        "attributes": list(made.attributes),
        "metrics": list(made.metrics),
        "rows": [
            {
                "target": row.of.target,
                "name": row.of.name,
                "run": row.of.run,
                "built": row.of.built,
                "seconds": row.of.seconds,
                "cost": row.of.cost,
                "attributes": json_value(dict(row.attributes)),
                "metrics": {
                    name: json_value(row.of.metrics[name])
                    for name in made.metrics
                    if name in row.of.metrics
                },
            }
            for row in made.rows
        ],
        "notes": list(found.notes),
    }


def write_json(document: dict[str, Any]) -> None:
    """Write a document that any reader of JSON takes."""
    sys.stdout.write(json.dumps(document, indent=1, allow_nan=False) + "\n")


def write_csv(headings: Sequence[str], rows: Iterable[Iterable[Any]]) -> None:
    """Write lines of values in full, with their headings."""
    lines = io.StringIO()
    writer = csv.writer(lines, lineterminator="\n")
    writer.writerow(map(csv_cell, headings))
    writer.writerows(map(csv_cell, row) for row in rows)
    echo(lines.getvalue(), nl=False)


def write_markdown(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Write a table for GitHub, which nothing in a name or a value can break."""
    above = [code(heading).replace("|", r"\|") for heading in headings]
    echo("\n".join(table(above, rows)), nl=False)


def terminal_width() -> int | None:
    """Return how many characters a line of the terminal has; None where there is none."""
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else None


def show_lines(columns: Sequence[TextColumn], note: str) -> None:
    """Print columns side by side, as many as there is room for.

    Args:
        columns: at least one.
        note: which options show the others.

    """
    lines, hidden = lay_out(columns, terminal_width())
    for at, line in enumerate(lines):
        echo(line, bold=not at or None)
    if hidden:
        names = ", ".join(column.heading for column in hidden[:_MORE_NAMED])
        more = f" and {len(hidden) - _MORE_NAMED} more" if len(hidden) > _MORE_NAMED else ""
        echo(f"no room for {names}{more}: {note}", fg="bright_black")


def _show_text(made: MetricsTable, request: MetricsRequest) -> None:
    if made.rows:
        show_lines(_text_columns(made, request), "--columns chooses, --csv has all")
    else:
        echo("note: there are no numbers to show: a step returns them, as {'loss': 0.1}", err=True)
        if not (request.targets or request.runs):
            echo("note: these are the requested targets; to ask all steps, add '*'", err=True)


def _text_columns(made: MetricsTable, request: MetricsRequest) -> list[TextColumn]:
    """Return the columns that people see."""
    hidden = set() if request.columns else _hidden(made, request)
    ends = {word.removeprefix("-") for word in request.sort}
    found = []
    for column in made.columns():
        if column.kind == "build" and column.name in hidden:
            continue
        cells = tuple(_cell(row, column) for row in made.rows)
        heading = printable(_HEADINGS.get(column.key, column.key))
        is_first = column.key == "target" or any(
            column.key == end or column.key.endswith(f".{end}") for end in ends
        )
        rank = 0 if is_first else _rank(made, column)
        found.append(TextColumn(heading, cells, _is_right(made, column), rank))
    return found


def _rank(made: MetricsTable, column: Column) -> int:
    """Return how soon a column goes where there is no room: a few attributes and numbers stay."""
    if column.kind == "attribute":
        return 1 if column.name in made.attributes[:_ATTRIBUTES_FIRST] else 3
    return 2 if column.kind == "metric" else 4


def _hidden(made: MetricsTable, request: MetricsRequest) -> set[str]:
    """Return the facts of builds that tell people nothing here."""
    hidden = {"name"}
    if not request.every_identity:
        hidden.add("built")
    if not request.runs:
        hidden.add("run")
    return hidden | {
        name for name in ("seconds", "cost") if all(getattr(r.of, name) is None for r in made.rows)
    }


def _cell(row: MetricsRow, column: Column) -> str:
    value = row.value(column)
    match column.kind:
        case "build":
            return fact_text(column.name, value) if value not in (None, "") else _NONE
        case "metric":
            return _NONE if value is None else number_text(value)
        case "attribute":
            return attribute_text(value) if column.name in row.attributes else _NONE


def _is_right(made: MetricsTable, column: Column) -> bool:
    if column.kind == "attribute":
        values = (row.attributes[column.name] for row in made.rows if column.name in row.attributes)
        return all(isinstance(value, int | float) for value in values)
    return column.kind == "metric" or column.name in ("seconds", "cost")
