"""A picture people can read: data flows to the right, and nothing lies on anything else."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from marin_build.emit.graph.layout import lay_out
from marin_build.emit.graph.picture import Node, Picture
from marin_build.errors import UsageError
from tests.unit.emit.graph.pictures import node

if TYPE_CHECKING:
    from hypothesis.strategies import SearchStrategy

    from tests.unit.conftest import Dag


def _picture(dag: Dag) -> Picture:
    nodes = tuple(
        Node(f"step{'x' * i}_1", f"step{'x' * i}", "built", "", (), "", is_command=False)
        for i in range(len(dag))
    )
    return Picture(nodes, tuple((dep, i) for i, deps in enumerate(dag) for dep in deps))


@given(data=st.data())
def test_no_two_boxes_overlap_and_edges_lead_to_the_right(
    data: st.DataObject, dags: SearchStrategy[Dag]
) -> None:
    picture = _picture(data.draw(dags))
    layout = lay_out(picture)
    boxes = layout.boxes
    assert len(boxes) == len(picture.nodes)
    for i, one in enumerate(boxes):
        assert one.width / 2 <= one.x <= layout.width - one.width / 2
        assert one.height / 2 <= one.y <= layout.height - one.height / 2
        for other in boxes[:i]:
            apart_x = abs(one.x - other.x) - (one.width + other.width) / 2
            apart_y = abs(one.y - other.y) - (one.height + other.height) / 2
            assert max(apart_x, apart_y) > 0
    for (source, target), route in zip(picture.edges, layout.routes, strict=True):
        leaves = (boxes[source].x + boxes[source].width / 2, boxes[source].y)
        arrives = (boxes[target].x - boxes[target].width / 2, boxes[target].y)
        assert route[0] == pytest.approx(leaves)
        assert route[-1] == pytest.approx(arrives)
        xs = [x for x, _ in route]
        assert xs == sorted(xs)
        assert xs[0] < xs[-1]


def test_boxes_above_each_other_are_equally_wide() -> None:
    """Else an edge that leaves a narrow box passes behind a wide one."""
    nodes = [
        Node(name, name, "built", "", (), "", is_command=True) for name in ("a", "b" * 40, "c")
    ]
    first, second, _ = lay_out(Picture(tuple(nodes), ((0, 2), (1, 2)))).boxes
    assert (first.x, first.width) == (second.x, second.width)


def test_the_same_graph_is_drawn_the_same_way() -> None:
    picture = _picture(((), (0,), (0,), (1, 2)))
    assert lay_out(picture) == lay_out(picture)


def test_no_graph_is_drawn_too() -> None:
    assert lay_out(Picture((), ())).boxes == ()


def test_a_long_chain_is_drawn_in_linear_time() -> None:
    """Else the picture of a chain of 10,000 takes a minute, and one of 100,000 a day."""
    count = 5_000
    edges = tuple((i, i + 1) for i in range(count - 1))
    layout = lay_out(Picture(tuple(node(f"s{i}") for i in range(count)), edges))
    assert len(layout.boxes) == count


def test_what_nobody_can_look_at_is_refused_with_ways_out() -> None:
    """Else edges that pass thousands of layers fill the memory."""
    count = 2_000
    chain = [(i, i + 1) for i in range(count - 1)]
    far = [(0, i) for i in range(2, count)]
    picture = Picture(tuple(node(f"s{i}") for i in range(count)), tuple(chain + far))
    with pytest.raises(UsageError, match="svg draws at most 100000 nodes and pieces of edges"):
        lay_out(picture)
