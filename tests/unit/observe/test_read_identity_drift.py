"""A version that holds another identity is told, down to the leaf, for as few reads as can be."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from marin_build import StepSpec
from marin_build.errors import StoppedError
from marin_build.identity.payload import deep_fingerprint
from marin_build.observe.read_snapshot import observe
from marin_build.plan.decide import make_plan
from marin_build.plan.decisions import Kind
from marin_build.plan.deep_digests import deep_fingerprints_of_run
from marin_build.plan.drift import reused_drift
from marin_build.plan.identity_drift import IdentityDrift
from marin_build.protocol.lease import Host

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from marin_build.pipeline.targets import Targets
    from marin_build.plan.decisions import Plan
    from tests.unit.conftest import MemoryStore

HOST = Host("me@here", "here")


class Built:
    """corpus -> raw@v1 -> use -> top in a store, as one pipeline built it."""

    def __init__(self, make: Callable[..., Targets], store: MemoryStore) -> None:
        self.make, self.store = make, store

    def declare(self, q: int = 1, lines: int = 1, **options: Any) -> Targets:
        options = {"version": "v1", **options}
        corpus = StepSpec(name="corpus", fn=print, hash_attrs={"lines": lines})
        raw = StepSpec(name="raw", fn=print, deps=[corpus], hash_attrs={"q": q}, **options)
        use = StepSpec(name="use", fn=print, deps=[raw])
        return self.make(StepSpec(name="top", fn=print, deps=[use]))

    def build(self, targets: Targets, names: Iterable[str] = (), end: str = "2026") -> None:
        """Write statuses and records of some targets, of all without names."""
        deep = targets.deep_fingerprints()
        for index, target in enumerate(targets.all):
            if names and target.name not in names:
                continue
            document = {
                "executor_version": "marin_build/1", "fingerprint": target.fingerprint,
                "run": "r-1", "provenance": {"user": "ada", "host": "h"}, "end": end,
                "payload": target.step.payload, "deep_fingerprint": deep[index],
            }  # fmt: skip
            self.store.put(f"{target.output_path}/.executor_status", b"SUCCESS")
            self.store.put(f"{target.output_path}/.executor_info", json.dumps(document).encode())

    def plan(self, targets: Targets, *requested: str, forced: Iterable[int] = ()) -> Plan:
        names = requested or ("top",)
        indices = [i for i, target in enumerate(targets.all) if target.name in names]
        self.store.batches.clear()
        snapshot = observe(self.store, targets, indices, frozenset(forced), HOST)
        return make_plan(targets, snapshot, indices, forced=forced)

    def texts(self, targets: Targets, *requested: str) -> dict[str, str]:
        """Return the drift of a plan in words, by step."""
        found = reused_drift(self.plan(targets, *requested))
        return {targets.all[index].name: drift.text for index, drift in found.items()}


@pytest.fixture
def built(make: Callable[..., Targets], new_store: Callable[[], MemoryStore]) -> Built:
    """Return the chain, built once."""
    chain = Built(make, new_store())
    chain.build(chain.declare())
    return chain


def _index(targets: Targets, name: str) -> int:
    return next(i for i, target in enumerate(targets.all) if target.name == name)


def test_nothing_more_is_read_where_nothing_changed(built: Built) -> None:
    """Else every plan of a pipeline with a version reads what only drift needs."""
    targets = built.declare()
    assert built.texts(targets) == {}
    assert len(built.store.read) == 2, "the status and the record of what is requested"


def test_what_changed_under_a_version_is_told_to_the_leaf(built: Built) -> None:
    """Else a version holds something else than is declared, and nobody knows."""
    targets = built.declare(q=2)
    assert built.texts(targets, "raw") == {
        "raw": "its identity changed under version v1: attrs.q 1 -> 2"
    }
    (drift,) = reused_drift(built.plan(targets, "raw")).values()
    raw = targets.all[_index(targets, "raw")]
    (change,) = drift.changes
    assert (change.path, change.old, change.new) == ("attrs.q", 1, 2)
    assert (drift.recorded != drift.declared, drift.declared) == (True, raw.fingerprint)


def test_what_was_made_from_it_is_told_with_it_though_it_was_pruned(built: Built) -> None:
    """Else a built model hides that its data is not what is declared."""
    assert built.texts(built.declare(q=2)) == {
        "raw": "its identity changed under version v1: attrs.q 1 -> 2",
        "top": "built from another identity of raw@v1: attrs.q 1 -> 2",
    }


def test_a_change_above_the_version_is_followed_to_its_root(built: Built) -> None:
    """Else the line says `needs corpus, which changed`, and people have to search."""
    assert built.texts(built.declare(lines=2), "raw") == {
        "raw": "its identity changed under version v1: needs corpus, which changed: "
        "attrs.lines 1 -> 2"
    }


def test_what_was_made_before_the_version_was_built_again_is_told(built: Built) -> None:
    """Else forcing the version alone makes everything look as it should."""
    targets = built.declare(q=2)
    built.build(targets, ["raw"], end="2027")
    assert built.texts(targets, "raw") == {}
    assert built.texts(targets) == {"top": "built from another identity of raw@v1"}


def test_what_was_made_from_neither_is_not_said_to_be_made_from_what_lies_there(
    built: Built,
) -> None:
    """Else the line names a change that the target has not seen."""
    built.build(built.declare(q=3), ["raw"], end="2027")
    assert built.texts(built.declare(q=2)) == {
        "raw": "its identity changed under version v1: attrs.q 3 -> 2",
        "top": "built from another identity of raw@v1",
    }


def test_of_two_versions_above_each_other_the_one_that_changed_is_named(
    make: Callable[..., Targets], new_store: Callable[[], MemoryStore]
) -> None:
    """Else every version far below is suspected of each change."""
    chain = Built(make, new_store())

    def declare(q: int) -> Targets:
        base = StepSpec(name="base", fn=print, hash_attrs={"q": q}, version="v1")
        other = StepSpec(name="other", fn=print, version="v1")
        raw = StepSpec(name="raw", fn=print, deps=[base, other], version="v2")
        return make(StepSpec(name="top", fn=print, deps=[raw, other]))

    chain.build(declare(1))
    assert chain.texts(declare(2)) == {
        "base": "its identity changed under version v1: attrs.q 1 -> 2",
        "top": "built from another identity of base@v1: attrs.q 1 -> 2",
    }


@pytest.mark.parametrize("name", ["raw", "top"])
def test_a_pinned_fingerprint_refuses_another_one(built: Built, name: str) -> None:
    """Else who pins what is published gets something else."""
    targets = built.declare(q=2)
    raw = targets.all[_index(targets, "raw")]
    pinned = built.declare(q=2, expected_fingerprint=raw.fingerprint)
    with pytest.raises(StoppedError, match="`raw@v1` pins its fingerprint") as caught:
        built.plan(pinned, name)
    facts = dict(caught.value.facts)
    assert (facts["pinned"], facts["output"]) == (raw.fingerprint, raw.output_path)
    assert "a new version" in (caught.value.hint or "")
    index = _index(pinned, "raw")
    forced = built.plan(pinned, "raw", forced=[index])
    assert [d.kind for d in forced.decisions if d.index == index] == [Kind.RUN]


def test_an_output_path_of_its_own_is_told_like_a_version(
    make: Callable[..., Targets], new_store: Callable[[], MemoryStore]
) -> None:
    chain = Built(make, new_store())
    place: dict[str, Any] = {"version": None, "override_output_path": "/data/raw"}
    chain.build(chain.declare(**place))
    texts = chain.texts(chain.declare(q=2, **place), "raw")
    assert texts == {"raw": "its identity changed at its output path: attrs.q 1 -> 2"}


@pytest.mark.parametrize("payload", [None, "{", "[]"])
def test_a_record_that_does_not_say_what_was_hashed(built: Built, payload: object) -> None:
    """Else a field that is missing costs the whole plan."""
    targets = built.declare(q=2)
    path = f"{targets.all[_index(targets, 'raw')].output_path}/.executor_info"
    record = {**json.loads(built.store.contents[path]), "payload": payload}
    built.store.put(path, json.dumps(record).encode())
    assert built.texts(targets, "raw") == {"raw": "its identity changed under version v1"}


def test_what_is_built_again_has_not_drifted(built: Built) -> None:
    """Else a plan says that it reuses what it builds."""
    targets = built.declare(q=2)
    index = _index(targets, "raw")
    plan = built.plan(targets, "raw", forced=[index])
    assert (reused_drift(plan), plan.snapshot.drifted) == ({}, {})
    drift = IdentityDrift("under version v1", "0", "1")
    doubtful = replace(plan, snapshot=replace(plan.snapshot, drifted={index: drift}))
    assert reused_drift(doubtful) == {}


def test_a_record_says_of_what_it_was_made_not_of_what_was_declared(built: Built) -> None:
    """Else what was made from the old data passes for made from the new one, for ever."""
    targets = built.declare(q=2)
    use, top = _index(targets, "use"), _index(targets, "top")
    for index in (use, top):
        del built.store.contents[f"{targets.all[index].output_path}/.executor_status"]
    before = built.declare().deep_fingerprints()
    deep = deep_fingerprints_of_run(built.plan(targets))
    raw_then = before[_index(targets, "raw")]
    assert deep[use] == deep_fingerprint(targets.all[use].fingerprint, [raw_then])
    assert deep[top] == deep_fingerprint(targets.all[top].fingerprint, [deep[use]])
    assert deep[top] == before[top] != targets.deep_fingerprints()[top]
