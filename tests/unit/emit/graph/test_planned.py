"""The picture of a saved plan: the same as that of the plan when it was made."""

from __future__ import annotations

from typing import TYPE_CHECKING

from marin_build.emit.graph.picture import picture_of
from marin_build.emit.graph.saved_plan_page import details_of_plan, picture_of_plan
from marin_build.plan.decisions import make_plan
from marin_build.plan.document import plan_document
from marin_build.plan.snapshot import LastAttempt, Observed, Snapshot

if TYPE_CHECKING:
    from tests.unit.conftest import TargetsOf


def test_a_saved_plan_is_drawn_as_the_plan_was(targets_of: TargetsOf) -> None:
    targets = targets_of(((), (0,), (1,), (1,), (2, 3), (4,)))
    last = LastAttempt(2, 3, "secret", "ada@host", "2026-11-21T10:20:00")
    snapshot = Snapshot(
        {
            1: Observed(status="SUCCESS"),
            2: Observed(status="FAILED", last=last),
            3: Observed(status="RUNNING"),
            4: Observed(),
            5: Observed(),
        }
    )
    plan = make_plan(targets, snapshot, [5], forced=[4])
    document = plan_document(
        plan, pipeline="pipeline.py", parameters={}, engine="local", pin_code=False,
        show_pruned=False,
    )  # fmt: skip
    then = picture_of(plan, set(range(6)), {0: "SUCCESS"})
    found = picture_of_plan(document)
    states = {node.id: node.state for node in then.nodes}
    assert {node.id: node.state for node in found.nodes} == states
    assert len(set(states.values())) == 4
    ids = [node.id for node in found.nodes]
    edges = {(ids[a], ids[b]) for a, b in found.edges}
    assert edges == {(then.nodes[a].id, then.nodes[b].id) for a, b in then.edges}
    assert all(a < b for a, b in found.edges)
    details = details_of_plan(document, found, "./plan/", ())
    assert [len(one.fingerprint) for one in details].count(64) == 5
