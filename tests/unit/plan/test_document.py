"""plan.json: equal for equal plans wherever they are made, and different if anything was edited."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from marin_build import ResourceConfig, StepSpec, command
from marin_build.identity.payload import fingerprint_of
from marin_build.pipeline.graph import build_graph
from marin_build.pipeline.targets import make_targets
from marin_build.plan.decide import make_plan
from marin_build.plan.document import PlanDocument, is_intact, parse_plan
from marin_build.plan.document_of_plan import plan_document
from marin_build.plan.plan_id import text_digest
from marin_build.plan.snapshot import Observed, Snapshot
from marin_build.protocol.record_reader import Built
from marin_build.workspace.workspace import Workspace, relative
from tests.workspaces import in_workspace

if TYPE_CHECKING:
    from marin_build.plan.decisions import Plan


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
    text = _document(HERE).sealed_text({"run.sh": "true"})
    assert text == _document(there).sealed_text({"run.sh": "true"})
    for hidden in ("/home", "ada", "host", "2026", "r-1"):
        assert hidden not in text


def test_the_document_says_what_is_done_and_why() -> None:
    document = json.loads(_document(HERE).sealed_text({}))
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
    assert [(d.target, d.payload) for d in short.pruned] == [(raw.target_id, raw.payload)]
    assert "pruned" not in json.loads(short.shown_text())


def test_digits_in_the_id_of_a_pruned_target_are_those_of_its_payload() -> None:
    """Else who edits a saved plan could have another output read; Marin's digits tell nothing."""
    with in_workspace(HERE):
        step = StepSpec(name="a", deps=[StepSpec(name="raw")])
        targets = make_targets(build_graph([step]), HERE)
    plan = make_plan(targets, Snapshot({1: Observed("SUCCESS")}), [1])
    document = plan_document(plan, pipeline="p", parameters={}, engine="local", pin_code=False)
    (pruned,) = document.pruned
    for target, is_wrong in (
        (pruned.target, False),
        ("raw-1a9fea", False),
        ("raw@v1", False),
        ("raw_00000000", True),
        ("raw", True),
    ):
        changed = replace(pruned, target=target)
        named = document.model_copy(update={"pruned": (changed,)}).misnamed()
        assert named == ([target] if is_wrong else [])


def test_what_is_not_asked_for_is_not_pruned() -> None:
    with in_workspace(HERE):
        raw, other = StepSpec(name="raw"), StepSpec(name="other")
        a = StepSpec(name="a", deps=[raw])
        targets = make_targets(build_graph([a, other]), HERE)
    index = targets.by_id[a.target_id]
    plan = make_plan(targets, Snapshot({index: Observed("SUCCESS")}), [index])
    assert [targets.all[i].name for i in plan.pruned_indices] == ["raw"]


def test_any_edit_shows_in_the_digest() -> None:
    text = _document(HERE).sealed_text({"run.sh": "true", "a": ""})
    sealed = PlanDocument.model_validate_json(text)
    assert is_intact(text.encode(), sealed)
    assert sealed.files == {"a": text_digest(""), "run.sh": text_digest("true")}
    digest = sealed.digest.encode()
    for key in set(json.loads(text)) - {"digest", "schema_version", "pruned"}:
        value = getattr(sealed, key)
        edited = sealed.model_copy(update={key: "ignore" if key == "code" else type(value)()})
        data = edited.sealed_text({}).encode()
        forged = data.replace(json.loads(data)["digest"].encode(), digest)
        assert not is_intact(forged, edited), key


def test_every_byte_of_the_file_counts() -> None:
    """Else white space, or a field that stands there twice, is changed after the review."""
    data = _document(HERE).sealed_text({"run.sh": "true"}).encode()
    plan = parse_plan(data, "the plan")
    assert is_intact(data, plan)
    for at in range(0, len(data), 7):
        for edited in (data[:at] + b" " + data[at:], data[:at] + data[at + 1 :]):
            assert not is_intact(edited, plan), at
    for edited in (
        b"",
        data + b"\n",
        data[:-1],
        b"\xef\xbb\xbf" + data,
        data.replace(b"\n", b"\r\n"),
        json.dumps(json.loads(data), indent=1).encode(),
        data.replace(b'"engine": "local"', b'"engine": "local",\n "engine": "local"'),
    ):
        assert not is_intact(edited, plan)


def test_a_plan_says_how_its_steps_run() -> None:
    """Else the learning rate in a variable is another one when the reviewed plan is applied."""
    with in_workspace(HERE):
        variables = {"LR": "0.1", "HF_TOKEN": "hf_abcdefghijklmnopqrstuvwxyz012345"}
        step = StepSpec(
            name="a",
            fn=print,
            env_vars=variables,
            resources=ResourceConfig.with_gpu("h100"),
            retries=3,
            timeout=60.0,
            outputs=("a.txt",),
        )
        targets = make_targets(build_graph([step, StepSpec(name="b", fn=print)]), HERE)
    plan = make_plan(targets, Snapshot({0: Observed(), 1: Observed()}), targets.requested)
    given: dict[str, Any] = {"pipeline": "p", "parameters": {}, "engine": "local"}
    text = plan_document(plan, **given, pin_code=True).sealed_text({})
    settings, none = (decision["settings"] for decision in json.loads(text)["decisions"])
    assert none == {}
    assert settings["env_vars"] == {
        "HF_TOKEN": "secret",
        "LR": f"sha256:{text_digest('0.1')[:16]}",
    }
    assert settings["resources"]["fields"]["device"]["fields"] == {"count": 1, "type": "h100"}
    assert (settings["retries"], settings["timeout"], settings["outputs"]) == (3, 60.0, ["a.txt"])
    assert "hf_" not in text
    unpinned = plan_document(plan, **given, pin_code=False)
    assert [decision.settings for decision in unpinned.decisions] == [None, None]


def test_a_payload_is_in_the_file_as_json_and_is_what_was_hashed() -> None:
    text = _document(HERE).sealed_text({})
    sealed = PlanDocument.model_validate_json(text)
    for decision, entry in zip(sealed.decisions, json.loads(text)["decisions"], strict=True):
        assert entry["payload"]["name"] == decision.name
        assert fingerprint_of(decision.payload) == decision.fingerprint
    wrong = replace(sealed.decisions[0], payload=sealed.decisions[1].payload)
    edited = sealed.model_copy(update={"decisions": (wrong, *sealed.decisions[1:])})
    again = PlanDocument.model_validate_json(edited.sealed_text({}))
    assert not is_intact(edited.sealed_text({}).encode(), again), "not even with a digest that fits"


_KEYS = st.text().filter(lambda key: not key.startswith("__"))  # some of those are reserved
_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_KEYS, inner, max_size=3),
    max_leaves=8,
)  # fmt: skip


@given(st.dictionaries(_KEYS, _VALUES, max_size=4))
def test_any_payload_survives_the_file(attrs: dict[str, Any]) -> None:
    with in_workspace(HERE):
        step = StepSpec(name="a", hash_attrs=attrs)
        targets = make_targets(build_graph([step]), HERE)
    plan = make_plan(targets, Snapshot({0: Observed()}), [0])
    text = plan_document(
        plan, pipeline="p", parameters={}, engine="local", pin_code=True
    ).sealed_text({})
    assert text.isascii()
    assert is_intact(text.encode(), PlanDocument.model_validate(json.loads(text)))


def test_an_unknown_key_or_schema_is_refused() -> None:
    values = json.loads(_document(HERE).sealed_text({}))
    decision = {**values["decisions"][0], "more": 1}
    for wrong in (
        {**values, "more": 1},
        {**values, "schema_version": 2},
        {**values, "decisions": [decision]},
        {**values, "decisions": [{**values["decisions"][0], "payload": 7}]},
        {**values, "pruned": [{"target": "a", "declared": "", "payload": {}, "more": 1}]},
    ):
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
