"""The first rows of tables, whatever the file holds."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from marin_build.observe.table_rows import Extent, Table, table_rows

SMALL = Extent(lines=3, rows=3, columns=2, line=10, cell=6)


@pytest.mark.parametrize(
    ("suffix", "lines", "table"),
    [
        (".csv", ["a,b", "1,2"], Table((("a", "b"), ("1", "2")), is_cut=False)),
        (".csv", ["a", "1", "2", "3"], Table((("a",), ("1",), ("2",)), is_cut=True)),
        (".tsv", ["a\tb\tc\td"], Table((("a", "b", "and 2 more"),), is_cut=False)),
        (".jsonl", ['{"a": 1}', '{"b": [1], "a": null}'],
         Table((("a", "b"), ("1", ""), ("null", "[1]")), is_cut=False)),
        (".jsonl", ['{"a": 1}'] * 3, Table((("a",), ("1",), ("1",)), is_cut=True)),
        (".ndjson", ['{"text": "long text"}'], Table((("text",), ("lon...",)), is_cut=False)),
        (".jsonl", ["[1]"], None),
        (".jsonl", ["{}"], None),
        (".jsonl", ["no"], None),
        (".jsonl", [], None),
        (".csv", [], None),
        (".txt", ["a,b"], None),
    ],
)  # fmt: skip
def test_rows_are_read_as_they_are_meant(
    suffix: str, lines: list[str], table: Table | None
) -> None:
    """Else a table is shown as the text of its file."""
    assert table_rows(suffix, lines, SMALL) == table


@given(st.sampled_from([".csv", ".tsv", ".jsonl"]), st.lists(st.text(max_size=20), max_size=8))
def test_whatever_is_in_a_file_its_cells_are_short_and_move_no_cursor(
    suffix: str, lines: list[str]
) -> None:
    """Else a file of an output rewrites the terminal of who looks at it."""
    table = table_rows(suffix, lines, SMALL)
    for row in table.rows if table is not None else ():
        assert len(row) <= SMALL.columns + 1
        for cell in row[: SMALL.columns]:
            assert len(cell) <= SMALL.cell
            assert cell.isprintable()
