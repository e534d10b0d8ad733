"""Tables fit the terminal, and say what they leave out."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from marin_build.cli.views.text_table import TextColumn, lay_out

CELLS = st.text(st.sampled_from("ab漢 -1"), max_size=90)


@st.composite
def tables(draw: st.DrawFn) -> list[TextColumn]:
    count = draw(st.integers(0, 5))
    cells = st.lists(CELLS, min_size=count, max_size=count).map(tuple)
    column = st.builds(TextColumn, CELLS, cells, st.booleans(), st.integers(0, 3))
    return draw(st.lists(column, min_size=1, max_size=8))


@given(tables(), st.integers(40, 200))
def test_a_table_fits_or_is_one_column(columns: list[TextColumn], width: int) -> None:
    """Lines that a terminal wraps are no table any more."""
    lines, hidden = lay_out(columns, width)
    assert all(cell_len(line) <= width for line in lines)
    assert len(hidden) < len(columns)
    if hidden:
        shown = [column for column in columns if column not in hidden]
        assert min(c.rank for c in hidden) >= max((c.rank for c in shown), default=0)


@given(tables())
def test_without_a_terminal_all_columns_are_there(columns: list[TextColumn]) -> None:
    lines, hidden = lay_out(columns)
    assert (len(lines), hidden) == (1 + len(columns[0].cells), [])


def test_numbers_stand_at_the_right_and_wide_characters_count_twice() -> None:
    columns = [TextColumn("name", ("漢字", "a")), TextColumn("n", ("1", "100"), is_right=True)]
    assert lay_out(columns)[0] == ["name    n", "漢字    1", "a     100"]


def test_long_cells_keep_their_beginning_and_their_end() -> None:
    name = "sweep/" + "x" * 60 + "_1a2b3c4d"
    (_, line), hidden = lay_out([TextColumn("target", (name,))], 40)
    assert line.startswith("sweep/xxx")
    assert line.endswith("...x_1a2b3c4d")
    assert not hidden


def test_few_rows_are_turned_on_their_side() -> None:
    columns = [TextColumn(f"metric{at}", (str(at), "-")) for at in range(20)]
    lines, hidden = lay_out(columns, 60)
    assert lines[:2] == ["metric0   0   -", "metric1   1   -"]
    assert (len(lines), hidden) == (20, [])
