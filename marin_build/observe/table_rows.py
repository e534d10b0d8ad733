"""The first rows of a table in a text: comma or tab separated values, or a JSON object a line."""

from __future__ import annotations

import csv
import json
from itertools import islice
from typing import TYPE_CHECKING, Any, NamedTuple

from marin_build.quick_dataclass import dataclass
from marin_build.text.readable import printable
from marin_build.untrusted_json import parse_json

if TYPE_CHECKING:
    from collections.abc import Sequence


@dataclass(frozen=True, slots=True)
class Extent:
    """How much of a file is shown.

    Args:
        lines: of a text.
        rows, columns: of a table; its head is a row.
        line, cell: characters of a line, and of a cell.

    """

    lines: int
    rows: int
    columns: int
    line: int
    cell: int


ON_A_TERMINAL = Extent(lines=10, rows=10, columns=8, line=160, cell=32)
_SEPARATORS = {".csv": ",", ".tsv": "\t"}
_OBJECTS = {".jsonl", ".ndjson"}


class Table(NamedTuple):
    """The first rows of a table, the head first, and whether there are more."""

    rows: tuple[tuple[str, ...], ...]
    is_cut: bool


def table_rows(suffix: str, lines: Sequence[str], extent: Extent) -> Table | None:
    """Return the first rows of a table; None if it is none.

    Args:
        suffix: of the file's name, in small letters, with its dot.
        lines: the first lines of the file, each whole.
        extent: how much is shown; what is left out of a row is counted in a further cell.

    """
    if suffix in _SEPARATORS:
        return _separated(lines, _SEPARATORS[suffix], extent)
    return _objects(lines, extent) if suffix in _OBJECTS else None


def _separated(lines: Sequence[str], separator: str, extent: Extent) -> Table | None:
    try:
        found = list(islice(csv.reader(lines, delimiter=separator), extent.rows + 1))
    except csv.Error:
        return None
    rows = tuple(_row(row, extent) for row in found[: extent.rows])
    return Table(rows, len(found) > extent.rows) if rows else None


def _objects(lines: Sequence[str], extent: Extent) -> Table | None:
    """Return a row for each object; the columns are the keys of all, in the order they come in."""
    found: list[dict[str, Any]] = []
    most = extent.rows - 1
    for line in lines[:most]:
        try:
            value = parse_json(line)
        except ValueError:
            return None
        if not isinstance(value, dict):
            return None
        found.append(value)
    columns = list(dict.fromkeys(key for value in found for key in value))
    if not columns:
        return None
    rows = [[_json_cell(value[key]) if key in value else "" for key in columns] for value in found]
    return Table(tuple(_row(row, extent) for row in [columns, *rows]), len(lines) > most)


def _json_cell(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _row(cells: Sequence[str], extent: Extent) -> tuple[str, ...]:
    more = [f"and {len(cells) - extent.columns} more"] if len(cells) > extent.columns else []
    return (*(cut(cell, extent.cell) for cell in cells[: extent.columns]), *more)


def cut(text: str, length: int) -> str:
    """Return the beginning of a text, printable."""
    shown = printable(text[: length + 1].replace("\t", " "))
    return shown if len(shown) <= length else f"{shown[: length - 3]}..."
