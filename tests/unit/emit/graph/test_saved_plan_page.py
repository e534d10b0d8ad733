"""The page beside a saved plan: from the document alone, the same for the same plan."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

import pytest

from marin_build.emit.graph import saved_plan_page
from marin_build.emit.graph.saved_plan_page import page_of_plan
from marin_build.emit.templates import Templates
from marin_build.engines.emission import emit_for
from marin_build.engines.registry import open_engine
from marin_build.plan.decide import make_plan
from marin_build.plan.document_of_plan import plan_document
from marin_build.plan.snapshot import Observed, Snapshot
from marin_build.workspace.workspace import Workspace
from tests.page_reader import data_in

if TYPE_CHECKING:
    from marin_build.plan.document import PlanDocument
    from tests.unit.conftest import TargetsOf

DAG = ((), (0,), (0,), (1,), (3, 2))
TEMPLATES = Templates(Workspace("/project", "/project/outputs"))


def _document(targets_of: TargetsOf, parameters: dict[str, str] | None = None) -> PlanDocument:
    targets = targets_of(DAG)
    snapshot = Snapshot({0: Observed(status="SUCCESS"), **{i: Observed() for i in range(1, 5)}})
    plan = make_plan(targets, snapshot, [4])
    return plan_document(
        plan, pipeline="p.py", parameters=parameters or {}, engine="local", pin_code=False
    )


@pytest.mark.parametrize("script", ["job.yaml", "job.sbatch", "container.sh", "own.sh"])
def test_the_page_leads_to_the_actions_beside_it(targets_of: TargetsOf, script: str) -> None:
    """Else the reviewer of a plan looks for the script of a step by its hash."""
    document = _document(targets_of)
    ids = {decision.name: decision.target for decision in document.decisions}
    files = [f"steps/{ids['s1']}/run.sh", f"steps/{ids['s2']}/{script}"]
    data = data_in(page_of_plan(document, files, TEMPLATES))
    found = {node["name"]: node.get("script") for node in data["nodes"]}
    assert found == {"s0": None, "s1": files[0], "s2": files[1], "s3": None, "s4": None}


def test_commands_name_the_pipeline_with_its_parameters(targets_of: TargetsOf) -> None:
    """Else the command that a page offers builds something else."""
    data = data_in(page_of_plan(_document(targets_of, {"n": "a b"}), [], TEMPLATES))
    assert [parts for _, parts in data["commands"]] == [
        ["marin-build apply ."],
        ["marin-build apply -f p.py --prefix outputs --set 'n=a b' ", ""],
        ["marin-build explain -f p.py --prefix outputs --set 'n=a b' ", ""],
    ]


def test_the_page_counts_as_plan_does(targets_of: TargetsOf) -> None:
    """Else a plan and its page seem to be of two pipelines."""
    page = page_of_plan(_document(targets_of), [], TEMPLATES) or ""
    assert re.search("plan p-[0-9a-f]{8}: 4 to build, 1 reused<", page)


def test_the_longest_chain_of_what_is_to_be_built_is_marked(targets_of: TargetsOf) -> None:
    """Else nobody sees in a plan which steps must wait for each other."""
    data = data_in(page_of_plan(_document(targets_of), [], TEMPLATES))
    assert [data["nodes"][index]["name"] for index in data["path"]] == ["s1", "s3", "s4"]


def test_the_page_is_a_function_of_the_document(targets_of: TargetsOf) -> None:
    """Else a plan that did not change looks as if it had."""
    pages = {page_of_plan(_document(targets_of), ["b", "a"], TEMPLATES) for _ in range(3)}
    assert len(pages) == 1


def test_a_very_large_plan_has_no_page(
    targets_of: TargetsOf, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else saving a plan of a million targets takes long, for a page no browser opens."""
    monkeypatch.setattr(saved_plan_page, "MOST_TARGETS", len(DAG) - 1)
    plan = make_plan(targets_of(DAG), Snapshot({i: Observed() for i in range(5)}), [4])
    engine = open_engine("local", {})
    files = emit_for(engine, plan, pipeline="p.py", parameters={}, overrides=None, with_page=True)
    assert "graph.html" not in files
    assert "graph.html" not in json.loads(files["plan.json"])["files"]
