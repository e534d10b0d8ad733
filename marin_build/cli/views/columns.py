"""Rows in columns under a heading, as wide as what stands in them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from marin_build.text.readable import printable

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence


def columns(
    heading: Sequence[str], rows: Sequence[Sequence[str]], *, right: Collection[str] = ()
) -> list[str]:
    """Return the lines of a table; a column with nothing in it is left out.

    Args:
        heading: a word for each column.
        rows: a text for each column; line ends and control characters are written out.
        right: the columns whose texts end at the same place: numbers.

    """
    shown = [tuple(map(printable, row)) for row in rows]
    used = [i for i in range(len(heading)) if any(row[i] for row in shown)]
    table = [tuple(heading), *shown]
    widths = {i: max(len(row[i]) for row in table) for i in used}
    return [
        "  ".join(
            row[i].rjust(widths[i]) if heading[i] in right else row[i].ljust(widths[i])
            for i in used
        ).rstrip()
        for row in table
    ]
