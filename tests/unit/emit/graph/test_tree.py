"""The tree in a terminal: short, whatever the size of the graph."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from marin_build.emit.graph import text_formats
from marin_build.emit.graph.picture import Picture
from marin_build.emit.graph.simplify import collapsed
from marin_build.emit.graph.text_formats import as_text
from tests.unit.emit.graph.pictures import DIAMOND, node

if TYPE_CHECKING:
    import pytest


def test_the_tree_shows_each_target_once_in_full() -> None:
    assert [line for line, _ in as_text(DIAMOND)] == [
        "x end_1",
        "|-- = a_1",
        "|   `-- = raw_1",
        "`-- + b_1",
        "    `-- = raw_1",
    ]
    twice = Picture(DIAMOND.nodes[:3], ((0, 1), (1, 2), (0, 2)))
    lines = [line for line, _ in as_text(twice)]
    assert lines.count("    `-- = raw_1") + lines.count("|   `-- = raw_1") == 1


def test_what_was_shown_with_its_needs_is_not_shown_with_them_again() -> None:
    picture = Picture(DIAMOND.nodes, ((0, 1), (1, 2), (1, 3)))
    assert [line for line, _ in as_text(picture)] == [
        "+ b_1",
        "`-- = a_1",
        "    `-- = raw_1",
        "x end_1",
        "`-- = a_1 (above)",
    ]


def test_a_very_deep_tree_is_drawn_without_recursion() -> None:
    size = 3000
    picture = Picture(tuple(node(f"s{i}") for i in range(size)),
                      tuple((i, i + 1) for i in range(size - 1)))  # fmt: skip
    assert len(as_text(picture)) == size


def _wide(size: int) -> Picture:
    leaves = tuple(node(f"data/shard-{i}", "stale" if i == 7 else "built") for i in range(size))
    return Picture((*leaves, node("all")), tuple((i, size) for i in range(size)))


def test_like_ones_beside_each_other_become_one_line_where_there_are_many() -> None:
    assert len(as_text(_wide(40))) == 41
    assert as_text(_wide(100)) == [
        ("= all_1", "built"),
        ("|-- = data/shard-# (99)", "built"),
        ("`-- ~ data/shard-7_1", "stale"),
    ]


def test_what_folded_lines_need_is_shown_once_below_them() -> None:
    leaves = tuple(node(f"raw/{letter}") for letter in "abcdefghijklmnopqrstuvwxyz")
    clean = tuple(node(f"clean/{letter}") for letter in "abcdefghijklmnopqrstuvwxyz")
    edges = [(i, 26 + i) for i in range(26)] + [(26 + i, 52) for i in range(26)]
    picture = Picture((*leaves, *clean, node("all")), tuple(edges))
    assert [line for line, _ in as_text(picture)] == [
        "= all_1",
        "`-- = clean/* (26)",
        "    `-- = raw/* (26)",
    ]


def test_no_line_is_longer_than_the_terminal() -> None:
    names = [f"step-with-a-rather-long-name-{i}" for i in range(60)]
    picture = Picture(tuple(map(node, names)), tuple((i, i + 1) for i in range(59)))
    lines = [line for line, _ in as_text(picture, 60)]
    assert len(lines) == 60
    assert max(map(len, lines)) == 60
    assert lines[-1].endswith("= step-with-a-rather-long-name-0_1")
    assert all(len(line) <= 12 for line, _ in as_text(picture, 12))


def test_a_long_chain_is_not_longer_than_its_lines() -> None:
    """Else each line is longer than the one above, 200 MB for a chain of 10,000."""
    count = 15_000
    edges = tuple((i, i + 1) for i in range(count - 1))
    chain = Picture(tuple(node(f"s{i}") for i in range(count)), edges)
    lines = [line for line, _ in as_text(chain)]
    assert lines[0] == f"= s{count - 1}_1"
    assert lines[20] == " " * 76 + f"`-- = s{count - 21}_1"
    assert lines[500].startswith("... ")
    assert lines[500].endswith(f"`-- = s{count - 501}_1")
    assert max(map(len, lines)) < 150
    assert lines[-1].startswith("... and 5000 more lines: name some targets")
    assert len(lines) == 10_001


def test_the_count_of_lines_left_out_fits_the_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """Else the last line of a large tree wraps, and a live screen counts its lines wrongly."""
    monkeypatch.setattr(text_formats, "_LONGEST", 3)
    chain = Picture(tuple(node(f"s{i}") for i in range(4)), ((0, 1), (1, 2), (2, 3)))
    lines = [line for line, _ in as_text(chain, 24)]
    assert [len(line) <= 24 for line in lines] == [True] * 4
    assert as_text(chain)[-1][0].startswith("... and 1 more line: ")


def test_what_drifted_is_marked_and_counted() -> None:
    """Else the reader of a tree believes that all of it is of one code."""
    leaves = tuple(replace(node(f"data/shard-{i}"), drifted=int(i < 3)) for i in range(100))
    small = Picture((*leaves[2:4], node("all")), ((0, 2), (1, 2)))
    assert [line for line, _ in as_text(small)] == [
        "= all_1",
        "|-- = data/shard-2_1  [drifted]",
        "`-- = data/shard-3_1",
    ]
    wide = Picture((*leaves, node("all")), tuple((i, 100) for i in range(100)))
    folded = ["= all_1", "`-- = data/shard-# (100)  [3 drifted]"]
    assert [line for line, _ in as_text(wide)] == folded
    one = collapsed(wide, 1)
    assert [line for line, _ in as_text(one)] == ["= all_1", "`-- = data/* (100)  [3 drifted]"]
    assert "data/* (100)\\nbuilt, 3 drifted" in text_formats.as_dot(one)
    assert "data/#42; #40;100#41;  #91;3 drifted#93;" in text_formats.as_mermaid(one)
