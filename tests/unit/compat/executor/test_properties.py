"""Random graphs of ExecutorSteps: what holds of versions, and of the steps they are lowered to."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from marin_build.compat import executor as names
from marin_build.compat.executor import CustomJsonEncoder
from marin_build.compat.executor.instantiate import instantiate_config
from marin_build.compat.executor.lowering import ConfigCall, Lowering
from marin_build.compat.executor.version import Versions
from marin_build.compat.fray.resources import ResourceConfig
from marin_build.workspace.workspace import Workspace, use_workspace

from .graph_trees import steps_of

if TYPE_CHECKING:
    from collections.abc import Iterator

PREFIX = "/data/out"
PLAIN = st.sampled_from([1, 2, "a", "a/b", None, True, {"enum": "Mode", "member": "FAST"}])
NAMES = st.sampled_from(["a", "b", "tok/c"])


@pytest.fixture(autouse=True)
def _workspace() -> Iterator[None]:
    before = use_workspace(Workspace("/data", PREFIX))
    yield
    use_workspace(before)


@st.composite
def graphs(draw: st.DrawFn) -> list[dict[str, Any]]:
    """Return a graph as trees, of up to 6 steps."""
    made: list[dict[str, Any]] = []
    for index in range(draw(st.integers(1, 6))):
        leaves: list[st.SearchStrategy[Any]] = [
            st.builds(lambda value: {"versioned": value}, PLAIN),
            PLAIN,
            st.just({"hardcoded": "docs/x"}),
            st.just({"this": "m"}),
        ]
        if index:
            places = st.builds(
                lambda step, below, waits: {"step": step, "below": below, "waits": waits},
                st.integers(0, index - 1),
                st.sampled_from([None, "x"]),
                st.booleans(),
            )
            leaves += [places, st.builds(lambda step: {"bare": step}, st.integers(0, index - 1))]
        leaf = st.one_of(leaves)
        tree = st.recursive(
            leaf,
            lambda inner: st.one_of(
                st.builds(lambda items: {"list": items}, st.lists(inner, max_size=3)),
                st.builds(lambda a, b: {"class": "Inner", "values": [a, b]}, inner, inner),
                st.builds(lambda a, b: {"dict": [["k", a], ["l.m", b]]}, inner, inner),
            ),
            max_leaves=4,
        )
        made.append({"name": draw(NAMES), "config": draw(tree)})
    return made


def known(graph: list[dict[str, Any]], **changes: Any) -> tuple[list[Any], Versions]:
    """Return the steps of a graph, and their versions."""
    steps = steps_of(graph, names, ResourceConfig)
    versions = Versions(PREFIX, **changes)
    for step in steps:
        versions.add(step)
    return steps, versions


@given(graphs())
def test_the_text_that_is_hashed_is_the_json_of_the_version(graph: list[dict[str, Any]]) -> None:
    """The text is put together from those of dependencies; Marin encodes the whole."""
    steps, versions = known(graph)
    for step in steps:
        text = json.dumps(versions.versions[step], sort_keys=True, cls=CustomJsonEncoder)
        assert versions.version_strs[step] == text
        assert versions.hashed_versions[step] == hashlib.md5(text.encode()).hexdigest()[:6]


@given(graphs())
def test_two_steps_have_one_fingerprint_exactly_if_they_have_one_version(
    graph: list[dict[str, Any]],
) -> None:
    """Else a plan would name no reason for a new folder, or a reason for an old one."""
    steps, versions = known(graph)
    lowering = Lowering(versions)
    lowered = [lowering.lower(step) for step in steps]
    for one, step in zip(lowered, steps, strict=True):
        assert one.target_id == f"{step.name}-{versions.hashed_versions[step]}"
        assert one.output_path == versions.output_paths[step]
        for other, another in zip(lowered, steps, strict=True):
            same = versions.version_strs[step] == versions.version_strs[another]
            assert (one.fingerprint == other.fingerprint) == same
            assert (one is other) == same


@given(graphs())
def test_a_lowered_step_waits_for_what_blocks_it_and_gets_the_config_of_marin(
    graph: list[dict[str, Any]],
) -> None:
    """Else it starts too early, waits for training that runs for weeks, or reads elsewhere."""
    steps, versions = known(graph)
    lowering = Lowering(versions)
    for step in versions.steps:
        lowered = lowering.lower(step)
        blocking = {versions.folder(dep) for dep in versions.dependencies[step]}
        assert {dep.target_id for dep in lowered.deps} == blocking
        assert isinstance(lowered.fn, ConfigCall)
        assert lowered.fn.config_at(lowered.output_path) == instantiate_config(
            step.config, versions.output_paths[step], versions.output_paths, PREFIX
        )
    assert {id(lowering.lower(step)) for step in steps} == {
        id(lowering.lower(step)) for step in versions.steps
    }


@given(graphs(), st.data())
def test_what_is_not_versioned_renames_nothing(
    graph: list[dict[str, Any]], data: st.DataObject
) -> None:
    """A batch size that is not versioned may be changed for a machine."""
    steps, versions = known(graph)

    def changed(tree: Any) -> Any:
        match tree:
            case {"versioned": _} | {"step": _} | {"bare": _} | {"hardcoded": _}:
                return tree
            case {"this": _}:
                return {"this": "elsewhere"}
            case {"list": items}:
                return {"list": [changed(item) for item in items]}
            case {"class": kind, "values": items}:
                return {"class": kind, "values": [changed(item) for item in items]}
            case {"dict": pairs}:
                return {"dict": [[key, changed(item)] for key, item in pairs]}
        return data.draw(PLAIN)

    others, again = known([{**tree, "config": changed(tree["config"])} for tree in graph])
    for step, other in zip(steps, others, strict=True):
        assert versions.hashed_versions[step] == again.hashed_versions[other]


def chain(length: int) -> list[dict[str, Any]]:
    """Return steps of which each needs the one before."""
    return [
        {"name": f"s{i}", "config": {"bare": i - 1} if i else {"versioned": 1}}
        for i in range(length)
    ]


def test_a_step_below_a_long_chain_enters_by_its_folder_or_as_before_may_2026_by_its_path() -> None:
    """Buckets that were filled before keep their names, which have the bucket in the hash."""
    steps, versions = known(chain(7))
    assert isinstance(versions.versions[steps[5]]["dependencies"][0], dict)
    folder = versions.folder(steps[5])
    assert versions.versions[steps[6]]["dependencies"] == [folder]
    steps, older = known(chain(7), deep="paths")
    assert older.versions[steps[6]]["dependencies"] == [f"{PREFIX}/{folder}"]


def test_a_chain_may_be_longer_than_python_recurses() -> None:
    """A pipeline of thousands of steps in a row is planned like any other."""
    steps, versions = steps_of(chain(1500), names, ResourceConfig), Versions(PREFIX)
    versions.add(steps[-1])
    assert Lowering(versions).lower(steps[-1]).target_id == versions.folder(steps[-1])


def test_joins_of_many_steps_take_no_more_texts_than_are_hashed() -> None:
    """Two joins of a fan-out would else be encoded anew for each step behind them."""
    first = [{"name": f"raw{i}", "config": {"versioned": i}} for i in range(40)]
    join = {"name": "join", "config": {"list": [{"bare": i} for i in range(40)]}}
    second = [
        {"name": f"tok{i}", "config": {"list": [{"bare": 40}, {"versioned": i}]}} for i in range(40)
    ]
    last = {"name": "last", "config": {"list": [{"bare": 41 + i} for i in range(40)]}}
    _, versions = known([*first, join, *second, last])
    whole = {id(version) for version in versions.versions.values()}
    for version in versions.versions.values():
        for dep in version["dependencies"]:
            assert id(dep) in whole  # shared, not copied
