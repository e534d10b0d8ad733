"""The walk that comes to a step after its dependencies."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hypothesis import given
from hypothesis import strategies as st

from marin_build import StepSpec
from marin_build.pipeline.dependencies_first import dependencies_first

if TYPE_CHECKING:
    from hypothesis.strategies import SearchStrategy

    from tests.unit.conftest import Dag


@given(data=st.data())
def test_a_walk_yields_what_is_not_done_after_its_dependencies(
    data: st.DataObject, dags: SearchStrategy[Dag]
) -> None:
    """Else a fingerprint is computed from one that is missing, or is computed twice."""
    dag = data.draw(dags)
    steps: list[StepSpec] = []
    for index, deps in enumerate(dag):
        steps.append(StepSpec(name=f"s{index}", deps=[steps[dep] for dep in deps]))
    some_steps = st.lists(st.sampled_from(steps), max_size=4)
    before, roots = _walked(data.draw(some_steps), set()), data.draw(some_steps)
    assert _walked(roots, before) >= before | set(roots)


def _walked(roots: list[StepSpec], done: set[StepSpec]) -> set[StepSpec]:
    """Walk, and return the steps that are done then."""
    done = set(done)
    for step in dependencies_first(roots, done.__contains__):
        assert step not in done
        assert done.issuperset(step.deps)
        done.add(step)
    return done
