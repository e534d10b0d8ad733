"""Renamed steps: built again, because a name is identity, but not as if they were new."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from marin_build import StepSpec
from marin_build.observe.read_history import read_history
from marin_build.observe.read_renames import read_renamed
from marin_build.observe.read_snapshot import observe
from marin_build.plan.decide import make_plan
from marin_build.plan.reason_text import describe_decision
from marin_build.protocol.lease import Host

if TYPE_CHECKING:
    from collections.abc import Callable

    from marin_build.pipeline.targets import Target, Targets
    from marin_build.plan.decisions import Plan
    from tests.unit.conftest import MemoryStore

HOST = Host("me@here", "here")


def _built(store: MemoryStore, target: Target) -> None:
    path = target.output_path
    store.contents[f"{path}/.executor_status"] = b"SUCCESS"
    store.contents[f"{path}/.executor_info"] = json.dumps({
        "executor_version": "marin_build/1", "fingerprint": target.fingerprint, "run": "r-1",
        "provenance": {"user": "ada", "host": "h"}, "end": "2026-11-21T10:20:00+00:00",
        "payload": target.step.payload, "target": target.id,
    }).encode()  # fmt: skip


def _plan(store: MemoryStore, targets: Targets) -> Plan:
    wanted = list(range(len(targets)))
    snapshot = observe(store, targets, wanted, frozenset(), HOST, history=True)
    assert read_history(store, targets, []) == {}
    names = {target.name for target in targets.all}
    return read_renamed(store, make_plan(targets, snapshot, wanted), lambda: names)


def _reasons(plan: Plan) -> dict[str, str]:
    return {plan.targets.all[d.index].name: describe_decision(d) for d in plan.decisions}


@pytest.mark.parametrize(
    ("old", "new"),
    [("tok", "tokenize"), ("tok", "data/tok"), ("data/tok", "tok"), ("v1/tok", "v2/tok"),
     ("a/b/tok", "a/c/tok"), ("tok_1", "tok_2"), ("tok", "TOK"), ("a_0123", "b_0123")],
)  # fmt: skip
@pytest.mark.parametrize("version", [None, "v1"])
@pytest.mark.parametrize("status", [None, b"FAILED", b"RUNNING"])
def test_a_step_that_is_the_same_but_for_its_name_was_renamed(
    make: Callable[..., Targets],
    new_store: Callable[[], MemoryStore],
    old: str,
    new: str,
    version: str | None,
    status: bytes | None,
) -> None:
    """Else a plan says `never built` of days of work that lie there under another name."""
    store, same = new_store(), {"fn": print, "hash_attrs": {"n": 1}, "version": version}
    before, after = (make(StepSpec(name=name, **same)) for name in (old, new))  # type: ignore[arg-type]
    _built(store, before.all[0])
    if status is not None:
        store.contents[f"{after.all[0].output_path}/.executor_status"] = status
    (decision,) = _plan(store, after).decisions
    assert describe_decision(decision).endswith(f"renamed from {old} to {new}")
    root = decision.root
    assert root is not None
    assert (root.since, root.run, root.by) == (before.all[0].id, "r-1", "ada@h")


def _group(make: Callable[..., Targets], folder: str, n: int = 1, last: str = "eval") -> Targets:
    raw = StepSpec(name=f"{folder}/raw", fn=print, hash_attrs={"n": n})
    tok = StepSpec(name=f"{folder}/tok", fn=print, deps=[raw])
    train = StepSpec(name="train", fn=print, deps=[tok, raw])
    return make(StepSpec(name=last, fn=print, deps=[train]))


def test_a_renamed_group_is_followed_through_its_dependents(
    make: Callable[..., Targets], new_store: Callable[[], MemoryStore]
) -> None:
    """Else the second step of a renamed folder is new, as its dependency has another name."""
    store = new_store()
    for target in _group(make, "v1").all:
        _built(store, target)
    assert _reasons(_plan(store, _group(make, "v2"))) == {
        "v2/raw": "renamed from v1/raw to v2/raw",
        "v2/tok": "renamed from v1/tok to v2/tok",
        "train": "needs v2/raw, renamed from v1/raw and 1 more",
        "eval": "needs train, which changed: needs v2/raw, renamed from v1/raw",
    }


def test_a_dependency_that_was_built_under_its_new_name_is_recognised(
    make: Callable[..., Targets], new_store: Callable[[], MemoryStore]
) -> None:
    """Else who adopts the renamed output reads that something else is needed now."""
    store, now = new_store(), _group(make, "v2")
    for target in (*_group(make, "v1").all, *now.all[:2]):
        _built(store, target)
    reasons = _reasons(_plan(store, now))
    assert reasons["train"] == "needs v2/raw, renamed from v1/raw and 1 more"
    assert reasons["eval"] == "needs train, which changed: needs v2/raw, renamed from v1/raw"


def test_what_changed_besides_its_name_is_new(
    make: Callable[..., Targets], new_store: Callable[[], MemoryStore]
) -> None:
    """Else a plan claims that two different steps are one."""
    store = new_store()
    for target in _group(make, "v1").all:
        _built(store, target)
    reasons = _reasons(_plan(store, _group(make, "v2", n=2)))
    assert (reasons["v2/raw"], reasons["v2/tok"]) == ("never built", "never built")


def test_a_step_beside_its_twin_is_not_renamed(
    make: Callable[..., Targets], new_store: Callable[[], MemoryStore]
) -> None:
    """Else a second replica seems to be the first one under another name."""
    store, one = new_store(), StepSpec(name="a", fn=print)
    targets = make(one, StepSpec(name="b", fn=print))
    _built(store, targets.all[targets.by_id[one.target_id]])
    assert _reasons(_plan(store, targets))["b"] == "never built"


def test_a_search_costs_nothing_where_nothing_is_new(
    make: Callable[..., Targets], new_store: Callable[[], MemoryStore]
) -> None:
    """Else each plan lists the store for renames that nobody made."""
    store, targets = new_store(), _group(make, "v1")
    for target in targets.all:
        _built(store, target)
    plan = _plan(store, _group(make, "v1", n=2))
    listed: list[Any] = []
    store.folders = lambda start: listed.append(start) or []  # type: ignore[method-assign, func-returns-value]
    assert read_renamed(store, plan, list) is plan
    assert listed == []
