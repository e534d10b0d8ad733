"""`+x` and `x+` and the critical path, against plain walks over the graph."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

from hypothesis import given
from hypothesis import strategies as st

from marin_build.plan.graph_shape import critical_path, digraph, downstream, layers, upstream

if TYPE_CHECKING:
    from hypothesis.strategies import SearchStrategy

    from tests.unit.conftest import Dag, TargetsOf


def _above(dag: Dag, of: set[int]) -> set[int]:
    found = set(of)
    for index in reversed(range(len(dag))):
        if index in found:
            found.update(dag[index])
    return found


@given(data=st.data())
def test_everything_a_target_needs_and_everything_that_needs_it(
    data: st.DataObject, dags: SearchStrategy[Dag], targets_of: TargetsOf
) -> None:
    dag = data.draw(dags)
    targets = targets_of(dag)
    chosen = data.draw(st.sets(st.sampled_from(range(len(dag))), max_size=3))
    assert upstream(targets, chosen) == _above(dag, chosen)
    assert downstream(targets, chosen) == {
        i for i in range(len(dag)) if _above(dag, {i}) & chosen
    }  # fmt: skip
    assert set(digraph(targets).edges) == {(dep, i) for i, deps in enumerate(dag) for dep in deps}


def _longest(dag: Dag, among: set[int]) -> int:
    length: dict[int, int] = {}
    for index in sorted(among):
        length[index] = 1 + max((length[dep] for dep in dag[index] if dep in among), default=0)
    return max(length.values(), default=0)


@given(data=st.data())
def test_the_critical_path_is_a_longest_chain(
    data: st.DataObject, dags: SearchStrategy[Dag], targets_of: TargetsOf
) -> None:
    dag = data.draw(dags)
    among = data.draw(st.sets(st.sampled_from(range(len(dag)))))
    path = critical_path(targets_of(dag), among)
    assert set(path) <= among
    assert len(path) == _longest(dag, among)
    assert all(one in dag[other] for one, other in itertools.pairwise(path))


@given(data=st.data())
def test_each_target_stands_one_layer_right_of_the_last_it_needs(
    data: st.DataObject, dags: SearchStrategy[Dag], targets_of: TargetsOf
) -> None:
    dag = data.draw(dags)
    place = {i: depth for depth, layer in enumerate(layers(targets_of(dag))) for i in layer}
    assert sorted(place) == list(range(len(dag)))
    for index, deps in enumerate(dag):
        assert place[index] == max((place[dep] + 1 for dep in deps), default=0)
