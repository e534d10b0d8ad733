"""Columns of text side by side, in the width of a terminal. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence


_GAP = "  "
_WIDEST = 80
"""Characters of the widest cell, and where a table must be narrow."""
_NARROW = 32
_FEW = 3
"""Rows of a table that is turned on its side rather than cut."""


@dataclass(frozen=True, slots=True)
class TextColumn:
    """A column of printable cells.

    Args:
        heading: what stands above it.
        cells: one for each row.
        is_right: whether cells stand at the right, as numbers do.
        rank: the lower, the longer the column stays in a table that has too many.

    """

    heading: str
    cells: tuple[str, ...]
    is_right: bool = False
    rank: int = 1


def lay_out(
    columns: Sequence[TextColumn], width: int | None = None
) -> tuple[list[str], list[TextColumn]]:
    """Return the lines of a table, and the columns for which there was no room.

    A table that is too wide has its long cells cut; then one of few rows is turned on its side, and
    of one with many rows only the first columns are shown.

    Args:
        columns: at least one, all of one length.
        width: of the terminal; None: there is none, so any width is fine.

    """
    wide = _lines(columns, _WIDEST)
    if width is None or _fits(wide, width):
        return wide, []
    narrow = _lines(columns, _NARROW)
    if _fits(narrow, width):
        return narrow, []
    if len(columns[0].cells) <= _FEW:
        turned = _lines(_turned(columns), max(_NARROW, width // 3), has_heading=False)
        if _fits(turned, width):
            return turned, []
    kept = _kept(columns, width)
    return _lines(kept, _NARROW), [column for column in columns if column not in kept]


def _turned(columns: Sequence[TextColumn]) -> list[TextColumn]:
    rows = zip(*(column.cells for column in columns), strict=True)
    return [
        TextColumn("", tuple(column.heading for column in columns)),
        *(TextColumn("", row) for row in rows),
    ]


def _kept(columns: Sequence[TextColumn], width: int) -> list[TextColumn]:
    """Return the columns that fit, the most important ones, in their order; at least one."""
    kept: set[int] = set()
    left = width
    for at in sorted(range(len(columns)), key=lambda at: columns[at].rank):
        left -= min(_width(columns[at]), _NARROW) + (len(_GAP) if kept else 0)
        if left < 0 and kept:
            break
        kept.add(at)
    return [columns[at] for at in sorted(kept)]


def _fits(lines: Sequence[str], width: int) -> bool:
    return all(_cells_of(line) <= width for line in lines)


def _width(column: TextColumn) -> int:
    return max(map(_cells_of, (column.heading, *column.cells)))


def _lines(columns: Sequence[TextColumn], most: int, *, has_heading: bool = True) -> list[str]:
    padded = []
    for column in columns:
        texts = [_cut(text, most) for text in (column.heading, *column.cells)]
        width = max(map(_cells_of, texts))
        padded.append([_padded(text, width, at_right=column.is_right) for text in texts])
    lines = [_GAP.join(row).rstrip() for row in zip(*padded, strict=True)]
    return lines if has_heading else lines[1:]


def _padded(text: str, width: int, *, at_right: bool) -> str:
    blanks = " " * (width - _cells_of(text))
    return blanks + text if at_right else text + blanks


def _cut(text: str, most: int) -> str:
    """Return a text of at most so many cells; of a longer one its beginning and its end."""
    if _cells_of(text) <= most:
        return text
    end = most // 3
    return f"{_start(text, most - end - 3)}...{_start(text[::-1], end)[::-1]}"


def _start(text: str, most: int) -> str:
    while _cells_of(text) > most:
        text = text[: min(len(text) - 1, most)]
    return text


def _cells_of(text: str) -> int:
    """Return how many columns of a terminal a text takes: of some scripts a character takes two."""
    if text.isascii():
        return len(text)
    return _wide_cells()(text)


def _wide_cells() -> Callable[[str], int]:
    from rich.cells import cell_len

    return cell_len
