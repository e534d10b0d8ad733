"""A plan with expansions is that of the same steps declared at once, as far as they are known."""

from __future__ import annotations

import functools
import json
import shutil
from typing import TYPE_CHECKING, Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from marin_build import Project, StepSpec, expand, step
from marin_build.operations.loading.loading import load
from marin_build.operations.loading.options import PipelineOptions
from marin_build.operations.planning.plan import make_planned
from marin_build.operations.planning.planned import PlanRequest
from marin_build.pipeline.program import Program, module_holding
from marin_build.plan.decisions import Kind

if TYPE_CHECKING:
    from pathlib import Path

    from hypothesis.strategies import SearchStrategy


Tree = tuple[tuple[int | None, bool], ...]


@step(name="n{number}")
def alone(output: str, number: int) -> int:
    return number


@step(name="n{number}")
def below(output: str, number: int, needed: str) -> int:
    return number + len(needed)


@st.composite
def _trees(draw: st.DrawFn) -> Tree:
    """Return for each step the one whose value tells of it, if any, and whether it needs that."""
    size = draw(st.integers(1, 7))
    parents = [draw(st.none() | st.integers(0, i - 1)) if i else None for i in range(size)]
    return tuple((parent, draw(st.booleans())) for parent in parents)


def _steps(tree: Tree) -> list[StepSpec]:
    made: list[Any] = []
    for number, (parent, needs) in enumerate(tree):
        if parent is not None and needs:
            made.append(below(number, made[parent]))
        else:
            made.append(alone(number))
    return made


def _expanding(tree: Tree) -> list[Any]:
    """Return the same steps, each declared when its parent's value is known."""
    steps = _steps(tree)

    def under(number: int) -> list[Any]:
        children = [i for i, (parent, _) in enumerate(tree) if parent == number]
        if not children:
            return [steps[number]]

        @expand(steps[number])
        def further(value: int) -> list[Any]:
            assert value == number
            return [each for child in children for each in under(child)]

        return [steps[number], further]

    return [each for i, (parent, _) in enumerate(tree) if parent is None for each in under(i)]


def _numbers() -> SearchStrategy[frozenset[int]]:
    return st.frozensets(st.integers(0, 6))


def _decided(offered: list[Any], prefix: Path, forced: list[str]) -> tuple[Any, dict[int, Any]]:
    program = Program(module_holding(offered), str(prefix.parent))
    loaded = load(PipelineOptions(program=program, prefix=str(prefix)))
    plan = make_planned(loaded, PlanRequest(forced=tuple(forced)), history=False).decided
    found = {
        int(plan.targets.all[d.index].name[1:]): (d.kind, type(d.reason).__name__)
        for d in plan.decisions
    }
    return plan, found


@settings(
    max_examples=40,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(_trees(), _numbers(), _numbers())
def test_it_is_the_plan_of_what_can_be_known(
    tmp_path: Path, tree: Tree, built: frozenset[int],
    forced: frozenset[int],
) -> None:  # fmt: skip
    """Else a step is built twice, or never, or with a wrong reason, because of how it is told."""
    shutil.rmtree(tmp_path / "outputs", ignore_errors=True)
    prefix = tmp_path / "outputs"
    steps = _steps(tree)
    for number in built & set(range(len(tree))):
        output = prefix / steps[number].name_with_hash
        output.mkdir(parents=True)
        (output / ".executor_status").write_text("SUCCESS")
        (output / ".artifact.json").write_text(json.dumps(number))

    @functools.cache
    def is_known(number: int) -> bool:
        parent = tree[number][0]
        return parent is None or (is_known(parent) and at_once[parent][0] is Kind.REUSE)

    names = [f"n{number}" for number in forced & set(range(len(tree)))]
    _, at_once = _decided(steps, prefix, names)
    plan, decided = _decided(_expanding(tree), prefix, names)
    known = {number for number in range(len(tree)) if is_known(number)}
    assert decided == {number: at_once[number] for number in known}
    waits_for = {
        plan.targets.all[source].name
        for index in plan.waiting
        for source in plan.targets.later[index].sources
    }
    parents = {parent for parent, _ in tree if parent is not None}
    assert waits_for == {
        f"n{number}" for number in parents & known if at_once[number][0] is not Kind.REUSE
    }


def test_an_assumption_is_no_value(tmp_path: Path) -> None:
    """Else `plan --assume-built` shows steps that follow from a value that nobody has."""
    project = Project.of(_expanding(((None, False), (0, True))), prefix=tmp_path)
    for plan in (project.plan(assume_built=["n0"]), project.plan(assume_changed=["n0"])):
        assert plan.planned.decided.names_waiting == ("further",)
