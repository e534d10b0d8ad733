"""`+x` and `x+`, and levels, against plain walks over the graph."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hypothesis import given
from hypothesis import strategies as st

from marin_build.plan.graph_shape import downstream, levels_below, upstream

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


@given(data=st.data())
def test_what_lies_so_many_levels_down_is_read_in_one_batch(
    data: st.DataObject, dags: SearchStrategy[Dag], targets_of: TargetsOf
) -> None:
    """Else a deep chain is a round trip a step, or what was read is read again."""
    dag = data.draw(dags)
    start = data.draw(st.lists(st.sampled_from(range(len(dag))), unique=True))
    count = data.draw(st.integers(1, 4))
    known = data.draw(st.sets(st.sampled_from(range(len(dag)))))
    expected = set(start) - known
    level = set(start)
    for _ in range(count - 1):
        level = {dep for index in level for dep in dag[index]} - known
        expected |= level
    found = levels_below(targets_of(dag).deps, start, count, known)
    assert set(found) == expected
    assert len(found) == len(expected)
    assert found[: len(set(start) - known)] == [index for index in start if index not in known]
