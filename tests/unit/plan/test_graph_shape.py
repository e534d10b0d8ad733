"""`+x` and `x+`, against plain walks over the graph."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hypothesis import given
from hypothesis import strategies as st

from marin_build.plan.graph_shape import digraph, downstream, upstream

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
