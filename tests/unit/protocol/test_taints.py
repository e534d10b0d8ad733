"""Marks on what is built but bad: they hold for one build, and no longer."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from marin_build import StepSpec
from marin_build.errors import CorruptStateError
from marin_build.observe.read_snapshot import list_tainted
from marin_build.observe.read_taints import read_taints, with_damaged_marks
from marin_build.plan.block_reasons import Unreadable
from marin_build.plan.decide import make_plan
from marin_build.plan.decisions import Kind
from marin_build.plan.snapshot import Observed, Snapshot
from marin_build.protocol import layout
from marin_build.protocol.taints import Taint, forget_taints, put_taints, remove_taints
from marin_build.store.memory import MemoryStore

if TYPE_CHECKING:
    from collections.abc import Callable

    from marin_build.pipeline.targets import Targets

BAD = Taint("wrong dump", "ada@host", "2026-11-22T10:20:30+00:00")


@pytest.fixture
def two(make: Callable[..., Targets]) -> Targets:
    raw = StepSpec(name="raw/wiki", fn=print)
    return make(StepSpec(name="tok", fn=print, deps=[raw]))


def _built_by(store: MemoryStore, targets: Targets, index: int, run: str) -> None:
    who, fingerprint = {"user": "ada", "host": "h"}, targets.all[index].fingerprint
    record = {
        "executor_version": "marin_build/1",
        "run": run,
        "fingerprint": fingerprint,
        "end": "",
    }
    data = json.dumps({**record, "provenance": who}).encode()
    store.put(f"{targets.all[index].output_path}/{layout.RECORD}", data)


def _mark(store: MemoryStore, targets: Targets) -> None:
    """Taint the first target, which `r-1` built, and with it the second."""
    root = targets.all[0].id
    put_taints(store, targets, {0: [(root, "r-1")], 1: [(root, "r-1")]}, BAD)


def test_a_mark_condemns_the_build_it_names(two: Targets) -> None:
    store = MemoryStore()
    for index in (0, 1):
        _built_by(store, two, index, "r-1")
    assert list_tainted(store, two) == []
    _mark(store, two)
    assert list_tainted(store, two) == [0, 1]
    made_from = f"made from {two.all[0].id}: wrong dump"
    assert read_taints(store, two, [0, 1]) == {
        0: BAD,
        1: Taint(made_from, BAD.by, BAD.at, is_root=False),
    }
    _built_by(store, two, 0, "r-2")  # whoever built it: his output is not what was condemned
    assert list(read_taints(store, two, [0, 1])) == [1]
    forget_taints(store, two, [0])
    assert list_tainted(store, two) == [1]


def test_what_has_no_record_of_ours_stays_condemned_until_it_has_one(two: Targets) -> None:
    """Else what Marin built cannot be tainted."""
    store = MemoryStore()
    put_taints(store, two, {0: [(two.all[0].id, "")]}, BAD)
    record = f"{two.all[0].output_path}/{layout.RECORD}"
    store.put(record, b'{"run": "of another executor", "version": {}}')
    assert read_taints(store, two, [0]) == {0: BAD}
    _built_by(store, two, 0, "r-1")
    assert read_taints(store, two, [0]) == {}


def test_marks_of_other_pipelines_are_left_alone(two: Targets) -> None:
    store = MemoryStore()
    store.put(layout.taint_path(two.workspace.prefix, "foreign_00000000"), b"not even JSON")
    assert list_tainted(store, two) == []


def test_taking_one_back_leaves_what_else_was_said(two: Targets) -> None:
    """Else a target that was tainted for itself is good again with what it was made from."""
    store = MemoryStore()
    root, own = two.all[0].id, two.all[1].id
    for index in (0, 1):
        _built_by(store, two, index, "r-1")
    put_taints(store, two, {1: [(own, "r-1")]}, BAD)
    _mark(store, two)
    _mark(store, two)  # said twice, kept once
    assert read_taints(store, two, [1])[1].is_root
    assert remove_taints(store, two, [0, 1], {"another"}) == []
    assert remove_taints(store, two, [0, 1], {root}) == [0]
    assert read_taints(store, two, [1]) == {1: BAD}
    assert remove_taints(store, two, [0, 1], {own}) == [1]
    assert list_tainted(store, two) == []


def test_a_damaged_mark_is_not_passed_over(two: Targets) -> None:
    store = MemoryStore()
    store.put(layout.taint_path(two.workspace.prefix, two.all[0].id), b"{}")
    with pytest.raises(CorruptStateError, match=r"taint .* is not readable"):
        read_taints(store, two, [0])


def test_a_damaged_mark_leaves_the_others_in_force(two: Targets) -> None:
    """Else one file costs the plan of a thousand targets, or makes all their marks void."""
    store = MemoryStore()
    for index in (0, 1):
        _built_by(store, two, index, "r-1")
    _mark(store, two)
    path = layout.taint_path(two.workspace.prefix, two.all[0].id)
    store.put(path, b"{}")
    damaged: dict[int, Unreadable] = {}
    assert list(read_taints(store, two, [0, 1], damaged=damaged.__setitem__)) == [1]
    assert damaged == {0: Unreadable("taint", path)}


@pytest.mark.parametrize(
    ("seen", "blocked"),
    [
        ({0: Observed("SUCCESS"), 1: Observed("SUCCESS")}, [0]),
        ({1: Observed("SUCCESS")}, [0]),  # it was pruned: what it condemns is not known
        ({0: Observed(), 1: Observed()}, []),  # it is built anyway
        ({0: Observed("FAILED"), 1: Observed()}, []),
    ],
)
def test_what_a_damaged_mark_may_condemn_is_blocked(
    two: Targets, seen: dict[int, Observed], blocked: list[int]
) -> None:
    """Else it is passed over, and what somebody held for bad is reused."""
    damaged = {0: Unreadable("taint", "p")}
    snapshot = with_damaged_marks(two, Snapshot(seen), [1], damaged)
    plan = make_plan(two, snapshot, [1])
    assert [d.index for d in plan.of_kind(Kind.BLOCKED)] == blocked
    assert make_plan(two, snapshot, [1], forced=[0]).of_kind(Kind.BLOCKED) == []
    assert with_damaged_marks(two, Snapshot(), [], damaged) == Snapshot(), "nobody asked for it"
