"""What a run keeps of its plan when it learns of further steps."""

from __future__ import annotations

from marin_build import StepSpec
from marin_build.pipeline.graph import build_graph
from marin_build.pipeline.targets import make_targets
from marin_build.plan.decisions import make_plan
from marin_build.plan.document import PlanDocument, is_intact, parse_plan, plan_document
from marin_build.plan.grown_document import grown_document
from marin_build.plan.snapshot import Observed, Snapshot
from marin_build.workspace.workspace import Workspace
from tests.workspaces import in_workspace

HERE = Workspace("/home/ada/project", "/home/ada/project/out")


def _document(steps: list[StepSpec], built: set[str], unread: str | None = None) -> PlanDocument:
    targets = make_targets(build_graph(steps), HERE)
    seen = {
        index: Observed("SUCCESS") if target.name in built else Observed()
        for index, target in enumerate(targets.all)
        if target.name != unread
    }
    plan = make_plan(targets, Snapshot(seen), targets.requested)
    return plan_document(plan, pipeline="p", parameters={}, engine="local", pin_code=False)


def test_nothing_is_lost_and_each_decision_is_that_of_the_run() -> None:
    """Else what the run built first counts as reused, or is not there, when it is looked at."""
    with in_workspace(HERE):
        raw = StepSpec(name="raw", fn=print)
        split = StepSpec(name="split", deps=[raw], fn=print)
        count = StepSpec(name="count", deps=[split], fn=print)
        first = _document([split], set())
        further = _document([split, count], {"split"}, unread="raw")
    assert [pruned.target for pruned in further.pruned] == [raw.target_id], "or it tests nothing"
    grown = grown_document(first, further)
    assert [(d.name, d.decision) for d in grown.decisions] == [
        ("raw", "run"), ("split", "run"), ("count", "run")
    ]  # fmt: skip
    assert grown.pruned == ()
    assert (grown.summary["run"], grown.summary["reuse"]) == (3, 0)
    assert grown.requested == (split.target_id, count.target_id)
    data = grown.sealed_text({}).encode()
    assert is_intact(data, parse_plan(data, "plan.json"))


def test_what_is_built_again_after_all_is_said() -> None:
    with in_workspace(HERE):
        old, new = StepSpec(name="old", fn=print), StepSpec(name="new", fn=print)
        first = _document([old, new], {"old"})
        further = _document([old, new], {"new"})
    grown = grown_document(first, further)
    assert [(d.name, d.decision) for d in grown.decisions] == [("new", "run"), ("old", "run")]
