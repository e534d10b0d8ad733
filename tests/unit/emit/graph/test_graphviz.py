"""The layout of Graphviz: asked for without names, and not believed where it makes no sense."""

from __future__ import annotations

import pytest

from marin_build.emit.graph.graphviz import answer, question
from marin_build.emit.graph.picture import Node, Picture

ODD = '"]; }'
PICTURE = Picture(
    (
        Node(ODD, ODD, "built", "", (), "", is_command=False),
        Node("b", "b", "built", "", (), "", is_command=False),
    ),
    ((0, 1),),
)
PLAIN = """\
graph 1 3 1
node 0 0.5 0.5 1 0.5 0 solid box black lightgrey
node 1 2.5 0.5 1 0.5 1 solid box black lightgrey
edge 0 1 4 1 0.5 1.25 0.5 1.5 0.5 2 0.5 solid black
stop
"""


def test_names_are_not_part_of_the_question() -> None:
    text = question(PICTURE)
    assert ODD not in text
    assert "0 -> 1" in text


def test_inches_from_below_become_pixels_from_above() -> None:
    layout = answer(PICTURE, PLAIN)
    assert layout is not None
    assert [(box.x, box.y) for box in layout.boxes] == [(60.0, 60.0), (204.0, 60.0)]
    assert layout.routes == (((96.0, 60.0), (114.0, 60.0), (132.0, 60.0), (168.0, 60.0)),)
    assert (layout.width, layout.height) == (264.0, 120.0)
    assert layout.are_splines


@pytest.mark.parametrize(
    "text", ["", "graph", PLAIN.replace("node 1", "node 7"), PLAIN.replace("0.5", "x"), "edge 'a"]
)
def test_another_answer_is_none(text: str) -> None:
    assert answer(PICTURE, text) is None
