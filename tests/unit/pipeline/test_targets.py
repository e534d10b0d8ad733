"""What moves a target to another path, what does not, and the declarations that cannot be right."""

from __future__ import annotations

import runpy
import shutil
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from marin_build import ResourceConfig, StepSpec, command
from marin_build.errors import SpecificationError, SpecificationErrors
from marin_build.pipeline.graph import build_graph
from marin_build.pipeline.source import Source
from marin_build.pipeline.source_digests import remember_digest
from marin_build.pipeline.targets import make_targets
from marin_build.workspace.workspace import Workspace, current_workspace
from tests.workspaces import in_workspace

if TYPE_CHECKING:
    from collections.abc import Callable

    from hypothesis.strategies import SearchStrategy

    from marin_build.pipeline.targets import Targets
    from tests.unit.conftest import Dag

    Make = Callable[..., Targets]


def _build(output_path: str) -> None: ...


def _other_build(output_path: str) -> None:
    raise NotImplementedError


TEXT = Source("text", "/project/text.txt")
RAW = StepSpec(name="raw", fn=_build)
CLEAN = StepSpec(name="clean", fn=_build)
PLAIN: dict[str, Any] = {
    "name": "train", "fn": _build, "deps": [RAW, CLEAN], "hash_attrs": {"lr": 0.1},
    "inputs": {"text": TEXT},
}  # fmt: skip


@pytest.fixture(autouse=True)
def _known_source() -> None:
    remember_digest(TEXT, "d1")


@pytest.mark.parametrize(
    "options",
    [
        {"deps": [CLEAN, RAW]},
        {"inputs": {"renamed": TEXT}},
        {"inputs": {"text": Source("text", "gs://elsewhere/text.txt")}},
        {"fn": _other_build},
        {"resources": ResourceConfig.with_tpu("v5p-64", regions=["us-east5"], zone="us-east5-a")},
        {"resources": ResourceConfig.with_gpu("h100", 8, image="image:2", preemptible=False)},
        {"env_vars": {"SEED": "2"}},
        {"retries": 5},
        {"timeout": 60.0},
        {"budgets": {"tpu": 64}},
        {"resumable": True},
        {"tags": ["expensive"]},
        {"description": "the big one"},
        {"outputs": ["model"]},
        {"output_path_prefix": "gs://other"},
        {"override_output_path": "/somewhere/else"},
        {"version": "v1"},
        {"code": "ignore"},
        {"declared": ("elsewhere.py", 99)},
    ],
    ids="-".join,
)
def test_how_and_where_a_step_runs_is_not_identity(options: dict[str, Any]) -> None:
    remember_digest(Source("text", "gs://elsewhere/text.txt"), "d1")
    assert StepSpec(**{**PLAIN, **options}).fingerprint == StepSpec(**PLAIN).fingerprint


@pytest.mark.parametrize(
    "options",
    [
        {"name": "train2"},
        {"deps": [RAW]},
        {"deps": [RAW, StepSpec(name="clean", hash_attrs={"n": 1})]},
        {"deps": [RAW, StepSpec(name="clean", version="v1")]},
        {"hash_attrs": {"lr": 0.2}},
        {"hash_attrs": {"lr": 0.1, "seed": 0}},
        {"inputs": {}},
        {"inputs": {"text": Source("other", "/project/text.txt")}},
        {"code": "rebuild"},
        {"fn": command("true", name="c").fn},
    ],
    ids="-".join,
)
def test_what_a_step_computes_is_identity(options: dict[str, Any]) -> None:
    remember_digest(Source("other", "/project/text.txt"), "d1")
    assert StepSpec(**{**PLAIN, **options}).fingerprint != StepSpec(**PLAIN).fingerprint


def test_a_changed_input_is_another_target() -> None:
    before = StepSpec(**PLAIN).fingerprint
    remember_digest(TEXT, "d2")
    assert StepSpec(**PLAIN).fingerprint != before


def test_rebuild_puts_the_code_into_identity() -> None:
    one = StepSpec(**PLAIN, code="rebuild")
    assert (
        one.fingerprint != StepSpec(**{**PLAIN, "fn": _other_build, "code": "rebuild"}).fingerprint
    )


def test_a_run_puts_the_code_of_those_that_say_nothing_into_identity() -> None:
    """Else `--code-policy rebuild` rebuilds nothing, or what its author forbade."""
    plain, report = StepSpec(**PLAIN).fingerprint, StepSpec(**PLAIN, code="report").fingerprint
    rebuild = StepSpec(**PLAIN, code="rebuild").fingerprint
    assert plain == report != rebuild
    with in_workspace(replace(current_workspace(), code="rebuild")):
        assert StepSpec(**PLAIN).fingerprint == rebuild
        assert StepSpec(**PLAIN, code="report").fingerprint == report
    with in_workspace(replace(current_workspace(), code="ignore")):
        assert StepSpec(**PLAIN).fingerprint == plain
        assert StepSpec(**PLAIN, code="rebuild").fingerprint == rebuild


def test_a_change_reaches_everything_downstream_and_nothing_else(
    targets_of: Any, make: Make
) -> None:
    def pipeline(seed: int) -> dict[str, str]:
        raw = StepSpec(name="raw")
        tokens = StepSpec(name="tokens", deps=[raw], hash_attrs={"seed": seed})
        train = StepSpec(name="train", deps=[tokens])
        return {t.name: t.fingerprint for t in make(train, StepSpec(name="eval", deps=[raw])).all}

    one, other = pipeline(1), pipeline(2)
    assert {name for name in one if one[name] != other[name]} == {"tokens", "train"}


PIPELINE = """
from pathlib import Path
from marin_build import StepSpec, command, source, step

@step
def count(output: Path, text: Path, n: int = 3) -> None:
    pass

lines = command("wc -l {text} >{output}/n", name="lines", inputs={"text": source("text.txt")})
words = count(source("tree"))
targets = [count.options(name="again")(lines), words, StepSpec(name="all", deps=[lines, words])]
"""


def test_a_pipeline_moved_to_another_folder_prefix_and_machine_finds_its_outputs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = []
    for place, prefix in (("a", "gs://bucket/x"), ("b/deeper", "/mnt/out")):
        project = tmp_path / place
        (project / "tree").mkdir(parents=True)
        (project / "tree" / "t").write_text("t")
        (project / "text.txt").write_text("text")
        (project / "pipeline.py").write_text(PIPELINE)
        monkeypatch.chdir(project if place == "a" else tmp_path)
        with in_workspace(Workspace(str(project), prefix)) as _:
            steps = runpy.run_path(str(project / "pipeline.py"))["targets"]
            targets = make_targets(build_graph(steps), Workspace(str(project), prefix))
        found.append(
            [(t.id, t.fingerprint, t.output_path.removeprefix(prefix)) for t in targets.all]
        )
        shutil.rmtree(project)
    assert found[0] == found[1]


@given(data=st.data())
def test_adopted_data_renames_nothing(
    data: st.DataObject, dags: SearchStrategy[Dag], make: Make
) -> None:
    """Else everything below is built again because somebody saved the building of one step."""
    dag = data.draw(dags)
    steps: list[StepSpec] = []
    for index, deps in enumerate(dag):
        steps.append(StepSpec(name=f"s{index}", fn=_build, deps=[steps[dep] for dep in deps]))
    before = make(*steps)
    ids = data.draw(st.sets(st.sampled_from([target.id for target in before.all])))
    here = current_workspace()
    with in_workspace(replace(here, adopted={id_: f"gs://old/{id_}" for id_ in ids})):
        again: list[StepSpec] = []
        for index, deps in enumerate(dag):
            again.append(StepSpec(name=f"s{index}", fn=_build, deps=[again[dep] for dep in deps]))
        after = make_targets(build_graph(again), current_workspace())
    facts = [[(t.id, t.fingerprint, t.output_path) for t in ts.all] for ts in (before, after)]
    assert facts[0] == facts[1]
    assert before.deep_fingerprints() == after.deep_fingerprints()


def test_a_place_of_adopted_data_is_no_attribute() -> None:
    """Else the fingerprint depends on where somebody happened to keep the data."""
    raw = StepSpec(name="raw")
    here = replace(current_workspace(), adopted={raw.target_id: "gs://old/raw"})
    with in_workspace(here):
        train = StepSpec(name="train", deps=[raw], hash_attrs={"data": raw.output_path})
        with pytest.raises(SpecificationError, match="names a place of outputs"):
            make_targets(build_graph([train]), here)


@given(data=st.data())
def test_equal_steps_declared_apart_become_one_target(
    data: st.DataObject, dags: SearchStrategy[Dag], make: Make
) -> None:
    """Two branches that both declare `tokenize` must share its output, not build it twice."""
    dag = data.draw(dags)
    kinds = data.draw(st.lists(st.sampled_from("abc"), min_size=len(dag), max_size=len(dag)))
    steps: list[StepSpec] = []
    for kind, deps in zip(kinds, dag, strict=True):
        steps.append(StepSpec(name=kind, fn=_build, deps=[steps[dep] for dep in deps]))
    roots = data.draw(st.lists(st.sampled_from(steps), min_size=1, max_size=3))
    targets = make(*roots)
    needed, pending = set(roots), list(roots)
    while pending:
        fresh = set(pending.pop().deps) - needed
        needed |= fresh
        pending.extend(fresh)
    assert {t.fingerprint for t in targets.all} == {step.fingerprint for step in needed}
    assert len({t.id for t in targets.all}) == len(targets.all) == len(targets)
    for index, target in enumerate(targets.all):
        found = {targets.all[dep].fingerprint for dep in targets.deps[index]}
        assert found == {dep.fingerprint for dep in target.step.deps}
        assert all(dep < index for dep in targets.deps[index])
        assert targets.by_id[target.id] == index
    requested = [targets.all[i].fingerprint for i in targets.requested]
    assert requested == list(dict.fromkeys(root.fingerprint for root in roots))
    for index, above in enumerate(targets.dependents()):
        assert above == [i for i in range(len(targets)) if index in targets.deps[i]]


def test_deep_fingerprints_follow_the_whole_upstream(make: Make) -> None:
    def deep(seed: int) -> str:
        raw = StepSpec(name="raw", version="v1", hash_attrs={"seed": seed})
        return make(StepSpec(name="train", deps=[raw])).deep_fingerprints()[1]

    assert (
        make(StepSpec(name="train", deps=[StepSpec(name="raw", version="v1")])).all[1].fingerprint
    )
    assert deep(1) == deep(1) != deep(2)


def _capturing(value: object) -> Callable[[str], None]:
    def build(output_path: str) -> None:
        print(value)

    return build


@pytest.mark.parametrize(
    ("one", "other", "says"),
    [
        ({"fn": _build}, {"fn": _other_build}, "the identity `s_.*` but different code"),
        ({"fn": _capturing(1)}, {"fn": _capturing(2)}, "but different code"),
        ({"fn": _build}, {"fn": None}, "but different code"),
        (
            {"version": "v1"},
            {"version": "v1", "hash_attrs": {"n": 1}},
            "two different steps both want to be `s@v1`",
        ),
        ({}, {"output_path_prefix": "/else"}, "is declared with two output paths"),
        ({}, {"override_output_path": "/else"}, "is declared with two output paths"),
    ],
)
def test_two_declarations_that_cannot_be_one_are_refused_with_both_places(
    one: dict[str, Any], other: dict[str, Any], says: str, make: Make
) -> None:
    with pytest.raises(SpecificationError, match=says) as caught:
        make(
            StepSpec(name="s", declared=("/project/p.py", 3), **one),
            StepSpec(name="s", declared=("/project/p.py", 7), **other),
        )
    assert dict(caught.value.facts)["declared"] == "p.py:3, p.py:7"


@pytest.mark.parametrize(
    ("inner", "outer"),
    [
        ({"override_output_path": "/data/a/b"}, {"override_output_path": "/data/a"}),
        ({"override_output_path": "/data/a/b/c/d"}, {"override_output_path": "/data/a"}),
        ({"override_output_path": "/project/outputs/m/x"}, {"override_output_path": "m"}),
        ({"version": "v1"}, {"override_output_path": "inner"}),
        ({"override_output_path": "m/b"}, {"override_output_path": "m//"}),
        ({"output_path_prefix": "/data/a"}, {"override_output_path": "/data/a"}),
        ({"output_path_prefix": "gs://b/a"}, {"override_output_path": "gs://b/a"}),
    ],
    ids=str,
)
def test_no_output_may_lie_inside_another(
    inner: dict[str, Any], outer: dict[str, Any], make: Make
) -> None:
    """Clearing the leftovers of the outer one would delete the inner one's work."""
    steps = [StepSpec(name="inner", **inner), StepSpec(name="outer", **outer)]
    for order in (steps, steps[::-1]):
        with pytest.raises(SpecificationError, match=r"`inner.*lies inside that of `outer"):
            make(*order)


def test_names_with_slashes_may_nest_only_as_folders(make: Make) -> None:
    make(StepSpec(name="a"), StepSpec(name="a/b"), StepSpec(name="a/b/c"))
    with pytest.raises(SpecificationError, match="lies inside"):
        make(StepSpec(name="a", override_output_path="a"), StepSpec(name="a/b"))


def test_two_targets_may_not_share_a_path(make: Make) -> None:
    with pytest.raises(SpecificationError, match=r"`a_.*` and `b_.*` have the same output path"):
        make(StepSpec(name="b", override_output_path="/x"),
             StepSpec(name="a", override_output_path="/x/"))  # fmt: skip


@pytest.mark.parametrize(
    ("upstream", "step", "legal"),
    [
        ("dev", None, False),
        ("ada-dev", None, False),
        ("dev", "v1", False),
        ("dev", "dev", True),
        ("dev", "x-dev", True),
        ("v1", None, True),
        (None, "dev", True),
    ],
)
def test_what_is_kept_must_not_depend_on_what_is_rebuilt_each_time(
    upstream: str | None, step: str | None, legal: bool, make: Make
) -> None:
    train = StepSpec(name="train", deps=[StepSpec(name="raw", version=upstream)], version=step)
    if legal:
        make(train)
    else:
        with pytest.raises(SpecificationError, match="`train` depends on the dev version `raw@"):
            make(train)


def test_a_pinned_fingerprint_is_checked(make: Make) -> None:
    right = StepSpec(name="a").fingerprint
    make(StepSpec(name="a", expected_fingerprint=right))
    with pytest.raises(SpecificationError, match=f"{right}.*{'0' * 64} is pinned"):
        make(StepSpec(name="a", expected_fingerprint="0" * 64))


def test_a_pin_holds_also_on_a_step_that_is_declared_twice(make: Make) -> None:
    with pytest.raises(SpecificationError, match="is pinned"):
        make(StepSpec(name="a"), StepSpec(name="a", expected_fingerprint="0" * 64))


_ELSEWHERE = StepSpec(name="elsewhere", override_output_path="/mnt/model")
_OWN_PREFIX = StepSpec(name="own", output_path_prefix="gs://models/x")


@pytest.mark.parametrize(
    "step",
    [
        lambda: StepSpec(name="s", deps=[RAW], hash_attrs={"data": RAW.output_path}),
        lambda: StepSpec(name="s", hash_attrs={"deep": [{"data": "/project/outputs"}]}),
        lambda: StepSpec(name="s", hash_attrs={"data": Path("/project/outputs/a")}),
        lambda: StepSpec(name="s", deps=[_ELSEWHERE], hash_attrs={"data": "/mnt/model/a"}),
        lambda: StepSpec(name="s", deps=[_OWN_PREFIX], hash_attrs={"m": _OWN_PREFIX.output_path}),
        lambda: command(f"cat {RAW.output_path}/a", name="s"),
        lambda: command(["cat", f"{RAW.output_path}/a"], name="s"),
        lambda: command("cat {x}", name="s", params={"x": RAW.output_path}),
    ],
)
def test_where_outputs_live_cannot_become_identity(
    step: Callable[[], StepSpec], make: Make
) -> None:
    """Another prefix, or another person's home, would rename the target and everything below."""
    with pytest.raises(SpecificationError, match="`s`") as caught:
        make(step())
    assert "give the step itself" in (caught.value.hint or "")


@pytest.mark.parametrize(
    "prefix", ['/mnt/it\'s "here"', "/mnt/a\\b", "/mnt/é\u2028🙂", "gs://bucket/x"]
)
def test_a_prefix_of_any_characters_is_found(prefix: str) -> None:
    leaking = StepSpec(name="s", hash_attrs={"of": {prefix + "/a": 1}})
    with pytest.raises(SpecificationError, match="names a place of outputs"):
        make_targets(build_graph([leaking]), Workspace("/project", prefix))


def test_a_dependency_may_be_called_like_the_prefix(make: Make) -> None:
    """Else a step that is called like a folder of the project could not be used."""
    upstream = StepSpec(name="of/project/outputs/a")
    make(StepSpec(name="s", deps=[upstream], hash_attrs={"n": 1}))


@pytest.mark.parametrize(
    "text", ["/project/outputs2/a", "/project/outputs-of-ada", "/project/outputs_2"]
)
def test_a_path_that_only_begins_like_the_prefix_is_an_attribute_like_any_other(
    text: str, make: Make
) -> None:
    make(StepSpec(name="s", hash_attrs={"note": text}))


def test_all_clashes_are_reported_together(make: Make) -> None:
    with pytest.raises(SpecificationErrors) as caught:
        make(
            StepSpec(name="a", fn=_build),
            StepSpec(name="a", fn=_other_build),
            StepSpec(name="b", override_output_path="/x"),
            StepSpec(name="c", override_output_path="/x"),
            StepSpec(name="d", expected_fingerprint="0"),
        )
    assert len(caught.value.errors) == 3
