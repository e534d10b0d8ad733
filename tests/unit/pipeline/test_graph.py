"""The order of work: nothing before what it needs, nothing twice, nothing that nobody asked for."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from marin_build import StepSpec
from marin_build.errors import CycleError
from marin_build.pipeline.graph import build_graph, steps_below

if TYPE_CHECKING:
    from hypothesis.strategies import SearchStrategy

    from tests.unit.conftest import Dag


def _steps(dag: Dag) -> list[StepSpec]:
    steps: list[StepSpec] = []
    for index, deps in enumerate(dag):
        steps.append(StepSpec(name=f"s{index}", deps=[steps[dep] for dep in deps]))
    return steps


def _needed(dag: Dag, roots: list[int]) -> set[int]:
    """Everything that can be reached from the roots, the plain way."""
    found = set(roots)
    for index in reversed(range(len(dag))):
        if index in found:
            found.update(dag[index])
    return found


@given(data=st.data())
def test_the_order_is_topological_and_complete(
    data: st.DataObject, dags: SearchStrategy[Dag]
) -> None:
    dag = data.draw(dags)
    steps = _steps(dag)
    roots = data.draw(st.lists(st.sampled_from(range(len(dag))), max_size=4))
    graph = build_graph([steps[root] for root in roots])
    assert set(graph.steps) == {steps[i] for i in _needed(dag, roots)}
    assert len(set(graph.steps)) == len(graph.steps)
    for index, step in enumerate(graph.steps):
        assert [graph.steps[dep] for dep in graph.deps[index]] == list(step.deps)
        assert all(dep < index for dep in graph.deps[index])
    assert [graph.steps[root] for root in graph.roots] == [steps[i] for i in dict.fromkeys(roots)]
    below = steps_below([steps[root] for root in roots])
    assert (set(below), len(below)) == (set(graph.steps), len(graph.steps))


def test_a_dependency_named_twice_is_one_edge() -> None:
    raw = StepSpec(name="raw")
    assert build_graph([StepSpec(name="a", deps=[raw, raw])]).deps == ((), (0,))


def _close(first: StepSpec, last: StepSpec) -> None:
    """Make `first` need `last`, which no author can do."""
    object.__setattr__(first, "deps", (*first.deps, last))


@given(data=st.data())
def test_a_cycle_is_named_member_by_member(data: st.DataObject, dags: SearchStrategy[Dag]) -> None:
    dag = data.draw(dags)
    steps = _steps(dag)
    last = data.draw(st.sampled_from(range(len(dag))))
    first = data.draw(st.sampled_from(sorted(_needed(dag, [last]))))
    _close(steps[first], steps[last])
    with pytest.raises(CycleError) as caught:
        build_graph(steps[::-1])
    by_name = {step.name: step for step in steps}
    path = [by_name[name] for name in caught.value.path]
    assert path[0] is path[-1]
    assert len(set(path)) == len(path) - 1
    for upstream, step in itertools.pairwise(path):
        assert upstream in step.deps


def test_the_cycle_is_shown_the_way_data_flows_with_every_place() -> None:
    raw = StepSpec(name="raw", declared=("p.py", 1))
    tokens = StepSpec(name="tokens", deps=[raw], declared=("p.py", 2))
    train = StepSpec(name="train", deps=[tokens], declared=("p.py", 3))
    _close(tokens, train)
    with pytest.raises(CycleError) as caught:
        build_graph([train])
    assert caught.value.what == "dependency cycle: `train` -> `tokens` -> `train`"
    assert dict(caught.value.facts)["declared"] == "p.py:3, p.py:2"


def test_a_long_cycle_is_named_in_part() -> None:
    """Else one mistake fills the terminal with 200 kB."""
    steps = [StepSpec(name=f"s{i}", declared=("p.py", i)) for i in range(3000)]
    for step, dep in zip(steps, [*steps[1:], steps[0]], strict=True):
        _close(step, dep)
    with pytest.raises(CycleError) as caught:
        build_graph(steps[:1])
    assert len(caught.value.render()) < 600
    assert "... 2989 more ..." in caught.value.what
    assert "and 2990 more" in dict(caught.value.facts)["declared"]


def test_a_step_that_needs_itself() -> None:
    alone = StepSpec(name="alone")
    _close(alone, alone)
    with pytest.raises(CycleError, match="`alone` -> `alone`"):
        build_graph([alone])
