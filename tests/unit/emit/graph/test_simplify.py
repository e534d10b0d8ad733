"""Fewer nodes and edges that still tell the truth: what leads where stays as it is."""

from __future__ import annotations

from typing import TYPE_CHECKING

import networkx as nx
from hypothesis import given
from hypothesis import strategies as st

from marin_build.emit.graph.picture import Picture
from marin_build.emit.graph.simplify import collapsed, only_states, reduced
from tests.unit.emit.graph.pictures import node

if TYPE_CHECKING:
    from hypothesis.strategies import SearchStrategy

    from marin_build.emit.graph.picture import State
    from tests.unit.conftest import Dag


def _picture(dag: Dag, names: list[str]) -> Picture:
    nodes = tuple(node(names[i % len(names)] + f"{i}") for i in range(len(dag)))
    return Picture(nodes, tuple((dep, i) for i, deps in enumerate(dag) for dep in deps))


def _graph(picture: Picture) -> nx.DiGraph[int]:
    graph: nx.DiGraph[int] = nx.DiGraph()
    graph.add_nodes_from(range(len(picture.nodes)))
    graph.add_edges_from(picture.edges)
    return graph


@given(data=st.data())
def test_a_reduction_is_the_one_that_networkx_finds(
    data: st.DataObject, dags: SearchStrategy[Dag]
) -> None:
    picture = _picture(data.draw(dags), ["s"])
    expected = nx.transitive_reduction(_graph(picture))
    assert set(reduced(picture).edges) == set(expected.edges)
    assert reduced(picture).nodes == picture.nodes


@given(data=st.data())
def test_collapsed_folders_are_never_a_cycle(
    data: st.DataObject, dags: SearchStrategy[Dag]
) -> None:
    picture = _picture(data.draw(dags), ["a/", "b/x/", "b/y/", "c", "a/"])
    for depth in (1, 2):
        found = collapsed(picture, depth)
        assert all(a < b for a, b in found.edges), "dependencies come first"
        assert sum(node.targets for node in found.nodes) == len(picture.nodes)
        assert len({node.id for node in found.nodes}) == len(found.nodes)


@given(data=st.data())
def test_what_is_left_out_leads_on(data: st.DataObject, dags: SearchStrategy[Dag]) -> None:
    picture = _picture(data.draw(dags), ["s"])
    states: list[State] = data.draw(
        st.lists(st.sampled_from(["built", "failed"]), min_size=len(picture.nodes),
                 max_size=len(picture.nodes))
    )  # fmt: skip
    nodes = tuple(node(n.name, state) for n, state in zip(picture.nodes, states, strict=True))
    found = only_states(Picture(nodes, picture.edges), ["failed"])
    kept = [i for i, state in enumerate(states) if state == "failed"]
    assert [node.name for node in found.nodes] == [nodes[i].name for i in kept]
    whole, part = _graph(picture), _graph(found)
    for a in range(len(kept)):
        for b in range(len(kept)):
            assert nx.has_path(part, a, b) == nx.has_path(whole, kept[a], kept[b])


def test_a_collapsed_folder_says_what_is_in_it() -> None:
    nodes = (
        node("data/a", "built", "x"), node("data/b", "stale", "y"), node("data/c/d", "failed"),
        node("one/only"), node("end", "blocked"),
    )  # fmt: skip
    picture = Picture(nodes, ((0, 4), (1, 4), (2, 4), (3, 4), (0, 1)))
    found = collapsed(picture, 1)
    assert [(n.id, n.state, n.targets, n.reason) for n in found.nodes] == [
        ("data/*", "failed", 3, "1 failed, 1 stale, 1 built"),
        ("one/only_1", "built", 1, "why"),
        ("end_1", "blocked", 1, "why"),
    ]
    assert found.nodes[0].tags == ("x", "y")
    assert found.edges == ((0, 2), (1, 2))


def test_folders_that_need_each_other_are_drawn_in_parts() -> None:
    nodes = (node("a/1"), node("a/2"), node("b/1"), node("b/2"), node("a/3"), node("a/4"))
    picture = Picture(nodes, ((0, 2), (1, 3), (2, 4), (3, 5)))
    found = collapsed(picture, 1)
    assert [(n.name, n.targets) for n in found.nodes] == [("a/*", 2), ("b/*", 2), ("a/* 2", 2)]
    assert found.edges == ((0, 1), (1, 2))
