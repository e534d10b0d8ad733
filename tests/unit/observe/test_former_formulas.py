"""What was built while a former formula named remote sources, or wrote enums, is still built."""

from __future__ import annotations

import enum
import json
from typing import TYPE_CHECKING

import pytest

from marin_build import StepSpec
from marin_build import step as declared_as_step
from marin_build.observe.former_formulas import keep_former_identities
from marin_build.pipeline.formulas import FIRST, NOW, TAGGED_ENUMS, Formula
from marin_build.pipeline.graph import build_graph
from marin_build.pipeline.source import DeclaredSource, Source
from marin_build.pipeline.source_digests import Content, remember_content
from marin_build.store.memory import MemoryStore
from marin_build.workspace.workspace import Workspace
from tests.workspaces import in_workspace

if TYPE_CHECKING:
    from collections.abc import Sequence

    from marin_build.store.base import Blob, Store

PREFIX = "/out"
SAME = Source("same", "gs://b/same")
COMPOSED = Source("composed", "gs://b/composed")
SPELLED = DeclaredSource("gs://b/s", "gs://b/s", spelled="gs://b/s/")


@pytest.fixture(autouse=True)
def known() -> None:
    """What reading the sources has found."""
    remember_content(SAME, Content("d"))
    remember_content(COMPOSED, Content("new", digest_1="old"))
    remember_content(SPELLED, Content("d"))


def _pipeline() -> dict[str, StepSpec]:
    """Return steps by name: two levels that read what is named otherwise, and others."""
    plain = StepSpec(name="plain", inputs={"x": SAME})
    a = StepSpec(name="a", inputs={"x": COMPOSED})
    b = StepSpec(name="b", inputs={"x": SPELLED}, deps=[plain, a])
    c = StepSpec(name="c", deps=[b])
    d = StepSpec(name="d", inputs={"x": COMPOSED}, deps=[c])
    return {step.name: step for step in (plain, a, b, c, d)}


def _with(formulas: dict[str, Formula]) -> dict[str, StepSpec]:
    """Return the same steps, each with the identity of a formula."""
    steps = _pipeline()
    for name, formula in formulas.items():
        steps[name].use_formula(formula)
    return steps


def _store(steps: Sequence[StepSpec]) -> MemoryStore:
    store = MemoryStore()
    for step in steps:
        record = {
            "executor_version": "marin_build/0.1.0", "fingerprint": step.fingerprint, "run": "r",
            "provenance": {"user": "u", "host": "h"}, "end": "2026-01-01T00:00:00Z",
        }  # fmt: skip
        folder = step.output_path_in(PREFIX)
        store.put(f"{folder}/.executor_info", json.dumps(record).encode())
        store.put(f"{folder}/.executor_status", b"SUCCESS")
    return store


def _chosen(store: Store, steps: dict[str, StepSpec]) -> dict[str, str]:
    keep_former_identities(build_graph([steps["d"]]), PREFIX, lambda _: store)
    return {name: step.fingerprint for name, step in steps.items()}


@pytest.mark.parametrize(
    ("built", "expected"),
    [
        ({}, {}),
        ({"a": FIRST}, {"a": FIRST}),
        ({"a": FIRST, "b": FIRST}, {"a": FIRST, "b": FIRST}),
        ({"a": FIRST, "b": FIRST, "d": FIRST}, {"a": FIRST, "b": FIRST, "d": FIRST}),
        ({"a": NOW}, {}),
        ({"a": FIRST, "b": NOW}, {"a": FIRST}),
        ({"a": NOW, "b": FIRST}, {"b": FIRST}),
    ],
)
def test_a_step_keeps_the_identity_under_which_it_is_built(
    built: dict[str, Formula], expected: dict[str, Formula]
) -> None:
    """Else a new version of marin-build builds again what reads from buckets, and all below."""
    were = _with(built)
    store = _store([were[name] for name in built])
    wanted = {name: step.fingerprint for name, step in _with(expected).items()}
    assert _chosen(store, _pipeline()) == wanted


def test_what_is_built_under_both_is_what_it_is_now() -> None:
    store = _store([_with({"a": FIRST})["a"], _with({"a": NOW})["a"]])
    assert _chosen(store, _pipeline())["a"] == _with({})["a"].fingerprint


def test_a_pinned_fingerprint_says_which_formula_counts() -> None:
    first = _with({"a": FIRST})["a"].fingerprint
    a = StepSpec(name="a", inputs={"x": COMPOSED}, version="v1", expected_fingerprint=first)
    keep_former_identities(build_graph([a]), PREFIX, lambda _: MemoryStore())
    assert a.fingerprint == first


def test_the_record_of_a_version_says_which_formula_counts() -> None:
    """It lies at one path whatever its identity; another one would be reported as drift."""

    def make() -> StepSpec:
        return StepSpec(name="a", inputs={"x": COMPOSED}, version="v1")

    was = make()
    was.use_formula(FIRST)
    step = make()
    keep_former_identities(build_graph([step]), PREFIX, lambda _: _store([was]))
    assert step.fingerprint == was.fingerprint != make().fingerprint


def test_a_pipeline_without_such_sources_asks_no_store() -> None:
    def never(_: Sequence[StepSpec]) -> Store:
        raise AssertionError

    keep_former_identities(build_graph([StepSpec(name="a", inputs={"x": SAME})]), PREFIX, never)


def test_the_place_of_an_argument_has_the_name_of_its_formula() -> None:
    """`bind` names the source, too: half of an old identity is no identity."""

    @declared_as_step(name="a")
    def declared(output: str, x: str) -> None:
        del output, x

    step = declared(x=SPELLED)
    assert '"bind": {"x": "source:gs://b/s"}' in step.payload
    step.use_formula(FIRST)
    assert '"bind": {"x": "source:gs://b/s/"}' in step.payload
    assert '"inputs": {"gs://b/s/": "d"}' in step.payload


class Mode(enum.StrEnum):
    EXACT = "exact"


def _with_enums(formulas: dict[str, Formula]) -> dict[str, StepSpec]:
    """Return steps by name, of which two have an enum and one an old source besides."""
    a = StepSpec(name="a", hash_attrs={"mode": Mode.EXACT})
    b = StepSpec(name="b", deps=[a])
    c = StepSpec(name="c", deps=[b], hash_attrs={"modes": [Mode.EXACT]}, inputs={"x": COMPOSED})
    d = StepSpec(name="d", deps=[c])
    steps = {step.name: step for step in (a, b, c, d)}
    for name, formula in formulas.items():
        steps[name].use_formula(formula)
    return steps


@pytest.mark.parametrize(
    ("built", "expected"),
    [
        ({}, {}),
        ({"a": TAGGED_ENUMS}, {"a": TAGGED_ENUMS}),
        ({"a": TAGGED_ENUMS, "c": TAGGED_ENUMS}, {"a": TAGGED_ENUMS, "c": TAGGED_ENUMS}),
        ({"a": TAGGED_ENUMS, "c": FIRST}, {"a": TAGGED_ENUMS, "c": FIRST}),
        ({"a": TAGGED_ENUMS, "c": NOW}, {"a": TAGGED_ENUMS}),
        ({"a": NOW, "c": FIRST}, {"c": FIRST}),
    ],
)
def test_a_step_with_an_enum_keeps_the_identity_under_which_it_is_built(
    built: dict[str, Formula], expected: dict[str, Formula]
) -> None:
    """Else a new version of marin-build trains again every model whose step names an enum."""
    were = _with_enums(built)
    store = _store([were[name] for name in built])
    wanted = {name: step.fingerprint for name, step in _with_enums(expected).items()}
    assert _chosen(store, _with_enums({})) == wanted


def test_the_former_identity_of_an_enum_is_what_it_was() -> None:
    """This digest was computed by the version that had the former formula."""
    step = _with_enums({"a": TAGGED_ENUMS})["a"]
    assert step.payload == (
        '{"attrs": {"mode": {"__enum__": "Mode.EXACT", "value": "exact"}}, "deps": [], "name": "a"}'
    )
    pinned = StepSpec(
        name="a", hash_attrs={"mode": Mode.EXACT}, expected_fingerprint=step.fingerprint
    )
    keep_former_identities(build_graph([pinned]), PREFIX, lambda _: MemoryStore())
    assert pinned.fingerprint == step.fingerprint != _with_enums({})["a"].fingerprint


class _Counting(MemoryStore):
    """Takes note of the paths that are read."""

    def __init__(self) -> None:
        super().__init__()
        self.read: list[str] = []

    def get_many(self, paths: Sequence[str]) -> list[Blob | None]:
        self.read += paths
        return super().get_many(paths)


def test_what_is_built_is_looked_for_once() -> None:
    """A pipeline that was never built otherwise pays one read a step for its enums."""
    store = _Counting()
    steps = _with_enums({})
    for step in _with_enums({}).values():
        store.put(f"{step.output_path_in(PREFIX)}/.executor_status", b"SUCCESS")
    _chosen(store, steps)
    assert len(store.read) == 2


def test_a_target_that_is_asked_for_by_its_id_has_that_identity() -> None:
    """A job that was sent for it finds it, also while the output is on its way."""
    was = _with_enums({"a": TAGGED_ENUMS})["a"]
    steps = _with_enums({})
    graph = build_graph([steps["a"]])
    chosen = keep_former_identities(graph, PREFIX, lambda _: MemoryStore(), was.target_id)
    assert steps["a"].target_id == was.target_id
    assert chosen == {_with_enums({})["a"].fingerprint: TAGGED_ENUMS}


def test_a_workspace_says_which_identities_are_former() -> None:
    """Loaded again, a pipeline has them from the start, also where it asks for paths."""
    was = _with_enums({"a": TAGGED_ENUMS, "c": FIRST})
    now = _with_enums({"a": TAGGED_ENUMS})
    former = {_with_enums({})["a"].fingerprint: TAGGED_ENUMS, now["c"].fingerprint: FIRST}
    with in_workspace(Workspace("/project", PREFIX, former=former)):
        again = _with_enums({})
        assert again["d"].payload == was["d"].payload
        assert {name: s.fingerprint for name, s in again.items()} == {
            name: s.fingerprint for name, s in was.items()
        }
