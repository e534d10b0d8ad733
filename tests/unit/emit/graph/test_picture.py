"""The picture of a plan: from its document, alone or with a look at the pipeline and its store."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hypothesis import given
from hypothesis import strategies as st

from marin_build.emit.graph.live import Live, LiveTarget
from marin_build.emit.graph.picture import picture_of
from marin_build.plan.decide import make_plan
from marin_build.plan.document_of_plan import plan_document
from marin_build.plan.snapshot import LastAttempt, Observed, Snapshot

if TYPE_CHECKING:
    from hypothesis.strategies import SearchStrategy

    from marin_build.pipeline.targets import Targets
    from marin_build.plan.document import PlanDocument
    from tests.unit.conftest import Dag, TargetsOf

LAST = LastAttempt(2, 3, "secret", "ada@host", "2026-11-21T10:20:00")


def _document(
    targets: Targets, seen: dict[int, Observed], requested: list[int], *, show_pruned: bool = False
) -> PlanDocument:
    plan = make_plan(targets, Snapshot(seen), requested)
    return plan_document(
        plan, pipeline="pipeline.py", parameters={}, engine="local", pin_code=False,
        show_pruned=show_pruned,
    )  # fmt: skip


def _live(targets: Targets, known: dict[int, LiveTarget]) -> Live:
    found = {target.id: known.get(i, LiveTarget()) for i, target in enumerate(targets.all)}
    return Live(project="/project", targets=found)


def test_the_state_of_a_node_is_what_the_plan_decided(targets_of: TargetsOf) -> None:
    """Else the picture says something else than `plan`."""
    targets = targets_of(((), (0,), (1,), (1,), (2, 3), (), (5,)))
    seen = {
        1: Observed(status="SUCCESS"), 2: Observed(status="FAILED", last=LAST),
        3: Observed(status="RUNNING"), 4: Observed(), 5: Observed(status="SUCCESS", doubtful=True),
        6: Observed(),
    }  # fmt: skip
    picture = picture_of(_document(targets, seen, [4, 6]))
    assert {node.name: node.state for node in picture.nodes} == {
        "s0": "built", "s1": "built", "s2": "failed", "s3": "to build", "s4": "to build",
        "s5": "stale", "s6": "to build",
    }  # fmt: skip
    by_name = {node.name: node.reason for node in picture.nodes}
    assert by_name["s0"] == "not read: every target that needs it is built"
    assert "secret" not in by_name["s2"], "a saved plan does not say what a step printed"


def test_what_the_plan_did_not_read_is_drawn_as_the_plan_counts_it(targets_of: TargetsOf) -> None:
    """Else a deleted output is `to build` in the picture, and no plan ever builds it."""
    targets = targets_of(((), (), (), (0, 1, 2)))
    document = _document(targets, {3: Observed("SUCCESS")}, [3], show_pruned=True)
    known = {
        1: LiveTarget(reason="not read", tags=("t",)),
        3: LiveTarget(reason="built today"),
    }  # fmt: skip
    picture = picture_of(document, _live(targets, known))
    assert [node.state for node in picture.nodes] == ["built", "built", "built", "built"]
    assert picture.nodes[1].tags == ("t",)
    assert picture.nodes[3].reason == "built today"


@given(data=st.data())
def test_the_order_of_the_nodes_does_not_depend_on_the_store(
    data: st.DataObject, dags: SearchStrategy[Dag], targets_of: TargetsOf
) -> None:
    """Else a picture in a document changes when nothing but the store has changed."""
    targets = targets_of(data.draw(dags))
    needed = {dep for deps in targets.deps for dep in deps}
    roots = [index for index in range(len(targets)) if index not in needed]
    open_ones = {index: Observed() for index in range(len(targets))}
    built = {index: Observed("SUCCESS") for index in roots}
    pictures = [
        picture_of(_document(targets, seen, roots, show_pruned=True), _live(targets, {}))
        for seen in (open_ones, built)
    ]
    assert [node.id for node in pictures[0].nodes] == [node.id for node in pictures[1].nodes]
    for picture in pictures:
        ids = [node.id for node in picture.nodes]
        assert set(ids) == {target.id for target in targets.all}
        assert {(ids[a], ids[b]) for a, b in picture.edges} == {
            (targets.all[dep].id, targets.all[i].id)
            for i, deps in enumerate(targets.deps)
            for dep in deps
        }
        assert all(a < b for a, b in picture.edges), "dependencies first"


def test_a_part_is_drawn_without_the_rest(targets_of: TargetsOf) -> None:
    """Else one step of a thousand cannot be looked at alone."""
    targets = targets_of(((), (), (0, 1), (1,)))
    picture = picture_of(_document(targets, {1: Observed(), 3: Observed()}, [3]))
    assert [node.name for node in picture.nodes] == ["s1", "s3"]
    assert picture.layers() == [[0], [1]]
