"""A plan in colours, for a terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from marin_build.emit.plan_text import next_lines, radius_tables, row_cells, row_lines
from marin_build.text.readable import visible

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from marin_build.emit.plan_rows import Row, Shown
    from marin_build.plan.blast_radius import BlastRadius
    from marin_build.plan.plan_summary import Verb


_STYLES: Mapping[Verb, str] = {
    "build": "green",
    "rebuild": "yellow",
    "cascade": "yellow",
    "reuse": "bright_black",
    "adopt": "cyan",
    "drift": "magenta",
    "wait": "cyan",
    "blocked": "red",
    "expand": "cyan",
}
_MOST_LAID_OUT = 1_000
"""So many rows or more are printed without a layout, which takes 0.3 ms for each row."""
_HASH_LENGTH = 9
"""The length of `_1a2b3c4d`, which is drawn faintly, because people read names."""


def show_on_terminal(
    shown: Shown, radius: BlastRadius | None = None, console: Console | None = None
) -> None:
    """Print a plan; long reasons are wrapped inside their column."""
    console = console or Console(highlight=False)
    table = Table.grid(padding=(0, 2, 0, 0))
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    table.add_column(overflow="fold", ratio=1)
    for _ in range(3):
        table.add_column(no_wrap=True)
    if len(shown.rows) > _MOST_LAID_OUT:
        for line in row_lines(shown.rows):
            console.print(_text(line), soft_wrap=True)
    elif shown.rows:
        for row in shown.rows:
            table.add_row(*_cells(row))
        console.print(table)
    if shown.hidden:
        console.print(
            _text(f"  = {shown.hidden} reused, not shown (-v shows them)", "bright_black")
        )
    for warning in shown.warnings:
        console.print(_text(f"  warning: {warning}", "yellow"), soft_wrap=True)
    console.print(_text(shown.summary, "bold"), soft_wrap=True)
    for line in next_lines(shown):
        console.print(_text(line), soft_wrap=True)
    for head, *rest in radius_tables(radius) if radius is not None else ():
        console.print()
        console.print(_padded(head, rest))


def _text(text: str, style: str = "") -> Text:
    return Text(visible(text), style)


def _padded(head: Sequence[str], rest: Sequence[Sequence[str]]) -> Padding:
    table = Table.grid(padding=(0, 2, 0, 0))
    for _ in head:
        table.add_column(overflow="fold")
    for number, row in enumerate([head, *rest]):
        table.add_row(*(_text(cell, "" if number else "bold") for cell in row))
    return Padding(table, (0, 0, 0, 2))


def _cells(row: Row) -> list[Text]:
    head, target, *rest = row_cells(row)
    name = _text(target)
    if row.targets == 1 and row.target[-_HASH_LENGTH:][:1] == "_":
        name.stylize("bright_black", len(target) - _HASH_LENGTH)
    return [_text(f"  {head}", _STYLES[row.verb]), name, *(_text(cell) for cell in rest)]
