"""plan.json: equal for equal plans wherever they are made, and different if anything was edited."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from pydantic import ValidationError

from marin_build import ResourceConfig, StepSpec, command
from marin_build.emit.document import PlanDocument, plan_document
from marin_build.emit.plan_id import relative, text_digest
from marin_build.fingerprint import make_targets
from marin_build.graph import build_graph
from marin_build.plan import make_plan
from marin_build.snapshot import Built, Observed, Snapshot
from marin_build.workspace import Workspace, in_workspace

if TYPE_CHECKING:
    from marin_build.plan import Plan


def _plan(workspace: Workspace) -> Plan:
    with in_workspace(workspace):
        raw = StepSpec(name="raw", declared=(f"{workspace.project}/p.py", 1))
        sort = command("sort {raw} >{output}/a", name="sort", deps={"raw": raw},
                       resources=ResourceConfig.with_cpu(4))  # fmt: skip
        object.__setattr__(sort, "declared", (f"{workspace.project}/p.py", 2))
        train = StepSpec(name="train", deps=[sort], declared=(f"{workspace.project}/p.py", 3))
        targets = make_targets(build_graph([train, raw]), workspace)
    built = Observed("SUCCESS", built=Built("f", "r-1", "ada@host", "2026-11-21T10:00"))
    by_name = {target.name: i for i, target in enumerate(targets.all)}
    seen = {by_name["raw"]: built, by_name["sort"]: Observed(), by_name["train"]: Observed()}
    return make_plan(targets, Snapshot(seen), targets.requested)


def _document(workspace: Workspace, **rest: Any) -> PlanDocument:
    given: dict[str, Any] = {"pipeline": "p.py", "parameters": {"n": "1"}, "engine": "local",
                             "pin_code": True}  # fmt: skip
    return plan_document(_plan(workspace), **{**given, **rest})


HERE = Workspace("/home/ada/project", "/home/ada/project/out")


def test_a_plan_is_the_same_in_every_folder_and_names_no_time_host_or_person() -> None:
    there = Workspace("/mnt/ci/42", "/mnt/ci/42/out")
    text = _document(HERE).sealed({"run.sh": "true"}).to_text()
    assert text == _document(there).sealed({"run.sh": "true"}).to_text()
    for hidden in ("/home", "ada", "host", "2026", "r-1"):
        assert hidden not in text


def test_the_document_says_what_is_done_and_why() -> None:
    document = json.loads(_document(HERE).to_text())
    assert document["schema_version"] == 1
    assert document["summary"] == {"run": 1, "reuse": 1, "wait": 0, "blocked": 1, "pruned": 0}
    raw, sort, train = document["decisions"]
    assert (raw["name"], raw["decision"], raw["code_digest"]) == ("raw", "reuse", None)
    assert raw["reasons"] == [{"kind": "built_before"}]
    assert (sort["decision"], sort["resources"], sort["deps"]) == ("run", "4 cpu", [raw["target"]])
    assert sort["output_path"] == f"out/{sort['target']}"
    assert sort["declared"] == "p.py:2"
    assert len(sort["code_digest"]) == 64
    assert (train["decision"], train["reasons"]) == ("blocked", [{"kind": "nothing_builds_it"}])
    assert document["requested"] == [train["target"], raw["target"]]


@pytest.mark.parametrize(
    "change",
    [{"pipeline": "q.py"}, {"parameters": {"n": "2"}}, {"engine": "kubernetes"}],
    ids="-".join,
)
def test_another_plan_has_another_name(change: dict[str, Any]) -> None:
    assert _document(HERE).plan_id != _document(HERE, **change).plan_id
    assert _document(HERE).plan_id == _document(HERE).plan_id


def test_pruned_targets_are_counted_and_listed_only_on_demand() -> None:
    with in_workspace(HERE):
        raw = StepSpec(name="raw")
        targets = make_targets(build_graph([StepSpec(name="a", deps=[raw])]), HERE)
    plan = make_plan(targets, Snapshot({1: Observed("SUCCESS")}), [1])
    given: dict[str, Any] = {
        "pipeline": "p",
        "parameters": {},
        "engine": "local",
        "pin_code": False,
    }
    short = plan_document(plan, **given)
    full = plan_document(plan, **given, show_pruned=True)
    assert [d.name for d in short.decisions] == ["a"]
    assert [(d.name, d.decision) for d in full.decisions] == [("a", "reuse"), ("raw", "pruned")]
    assert short.summary["pruned"] == full.summary["pruned"] == 1


def test_any_edit_shows_in_the_digest() -> None:
    sealed = _document(HERE).sealed({"run.sh": "true", "a": ""})
    assert sealed.own_digest() == sealed.digest
    assert sealed.files == {"a": text_digest(""), "run.sh": text_digest("true")}
    assert PlanDocument.model_validate_json(sealed.to_text()) == sealed
    values = json.loads(sealed.to_text())
    for key in set(values) - {"digest", "schema_version"}:
        edited = sealed.model_copy(update={key: "ignore" if key == "code" else None})
        assert edited.own_digest() != sealed.digest, key


def test_an_unknown_key_or_schema_is_refused() -> None:
    values = json.loads(_document(HERE).to_text())
    for wrong in ({**values, "more": 1}, {**values, "schema_version": 2}):
        with pytest.raises(ValidationError):
            PlanDocument.model_validate(wrong)


@pytest.mark.parametrize(
    ("path", "shown"),
    [
        ("/home/ada/project/out/a_1", "out/a_1"),
        ("/home/ada/project", "."),
        ("/home/ada/project2/a", "/home/ada/project2/a"),
        ("gs://bucket/a", "gs://bucket/a"),
    ],
)
def test_places_inside_the_project_are_relative_to_it(path: str, shown: str) -> None:
    assert relative(path, HERE) == shown
