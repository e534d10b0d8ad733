"""A review that misses a changed target lets a costly rebuild through."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from marin_build.identity.payload import fingerprint_of, payload_text
from marin_build.plan.match_entries import Entry
from marin_build.plan.payload_diff import ABSENT, Difference
from marin_build.plan.targets_diff import Kind, TargetsDiff, changed_entries, diff_targets


def entry(
    name: str,
    needs: tuple[Entry, ...] = (),
    *,
    code: str | None = "c",
    version: str | None = None,
    bind: Any = None,
    **attrs: object,
) -> Entry:
    payload = payload_text(name, attrs, [dep.id for dep in needs], bind=bind)
    fingerprint = fingerprint_of(payload)
    return Entry(
        id=f"{name}@{version}" if version else f"{name}_{fingerprint[:8]}",
        name=name,
        fingerprint=fingerprint,
        version=version,
        deps=tuple(dep.id for dep in needs),
        declared="pipeline.py:1",
        payload=payload,
        code=code,
    )


def told(diff: TargetsDiff) -> list[tuple[str, str, list[str]]]:
    return [(each.kind.value, each.entry.name, each.reasons()) for each in diff.differences]


def test_what_appears_vanishes_changes_and_cascades() -> None:
    raw, tokens = entry("raw"), entry("tokens", n=1)
    old = [raw, tokens, entry("train", (tokens,)), entry("eval/old")]
    wider = entry("tokens", n=2)
    new = [raw, wider, entry("train", (wider,)), entry("eval/new", n=1)]
    diff = diff_targets(old, new)
    assert told(diff) == [
        ("changed", "tokens", ["attrs.n 1 -> 2"]),
        ("cascade", "train", ["needs tokens, which changed: attrs.n 1 -> 2"]),
        ("appeared", "eval/new", []),
        ("vanished", "eval/old", []),
    ]
    assert diff.summary() == {
        "appeared": 1, "vanished": 1, "changed": 1, "renamed": 0, "cascade": 1, "code": 0,
        "decision": 0, "same": 1,
    }  # fmt: skip


def test_a_dependency_that_is_new_is_a_change_of_the_target_itself() -> None:
    raw, more = entry("raw"), entry("more")
    old, new = entry("a", (raw,)), entry("a", (raw, more))
    diff = diff_targets([raw, old], [raw, more, new])
    assert told(diff)[1] == ("changed", "a", [f"needs {more.id}, which it did not"])


def test_what_a_parameter_is_bound_to_is_not_told_twice() -> None:
    one, two = entry("raw", n=1), entry("raw", n=2)
    old = entry("a", (one,), bind={"text": one.id})
    new = entry("a", (two,), bind={"text": two.id})
    diff = diff_targets([one, old], [two, new])
    assert told(diff)[1] == ("cascade", "a", ["needs raw, which changed: attrs.n 1 -> 2"])


def test_changed_code_is_told_beside_the_identity_and_alone() -> None:
    diff = diff_targets(
        [entry("a", code="1"), entry("b", code="1", n=1), entry("c", code=None)],
        [entry("a", code="2"), entry("b", code="2", n=2), entry("c", code="2")],
    )
    assert told(diff) == [
        ("code", "a", ["code changed"]),
        ("changed", "b", ["attrs.n 1 -> 2", "code changed"]),
    ]
    assert diff.same == 1


def test_the_code_of_a_command_is_its_identity_and_told_once() -> None:
    payloads = [payload_text("a", {}, [], command={"shell": text}) for text in ("x", "y")]
    old, new = (
        Entry(f"a_{text}", "a", text, payload=payload, code=text)
        for text, payload in zip("xy", payloads, strict=True)
    )
    assert told(diff_targets([old], [new])) == [("changed", "a", ['command.shell "x" -> "y"'])]


def test_versions() -> None:
    old = [entry("a", version="v1"), entry("b", version="v1", n=1), entry("c")]
    new = [entry("a", version="v2"), entry("b", version="v1", n=2), entry("c", version="v1")]
    assert told(diff_targets(old, new)) == [
        ("changed", "a", ["version v1 -> v2"]),
        ("changed", "b", ["attrs.n 1 -> 2"]),
        ("changed", "c", ["version added: v1"]),
    ]


def test_several_of_one_name_are_matched_by_fewest_leaves() -> None:
    old = [entry("t", lr=0.1, depth=1, seed=1), entry("t", lr=0.2, depth=2, seed=2)]
    new = [entry("t", lr=0.2, depth=2, seed=3), entry("t", lr=0.1, depth=1, seed=4)]
    assert told(diff_targets(old, new)) == [
        ("changed", "t", ["attrs.seed 2 -> 3"]),
        ("changed", "t", ["attrs.seed 1 -> 4"]),
    ]


def test_a_sweep_over_a_changed_input_is_matched_member_by_member() -> None:
    """In linear time: a thousand by a thousand pairs would take minutes."""
    one, two = entry("raw", n=1), entry("raw", n=2)
    old = [entry("t", (one,), lr=i) for i in range(1000)]
    new = [entry("t", (two,), lr=i) for i in reversed(range(1000))]
    diff = diff_targets([one, *old], [two, *new])
    assert diff.summary()["cascade"] == 1000
    assert all(
        json.loads(each.old.payload)["attrs"] == json.loads(each.new.payload)["attrs"]
        for each in diff.differences
        if each.kind is Kind.CASCADE and each.old and each.new
    )


def test_very_many_of_one_name_are_matched_in_their_order() -> None:
    old = [entry("t", lr=i) for i in range(200)]
    new = [entry("t", lr=i, wd=1) for i in range(201)]
    diff = diff_targets(old, new)
    assert (diff.summary()["changed"], diff.summary()["appeared"]) == (200, 1)
    assert diff.differences[0].leaves == (Difference("attrs.wd", ABSENT, 1),)


def _planned(which: Entry, decision: str) -> Entry:
    return replace(which, code=None, decision=decision)


def test_two_plans_may_decide_otherwise() -> None:
    raw = entry("raw")
    diff = diff_targets([_planned(raw, "reuse")], [_planned(raw, "run")])
    assert told(diff) == [("decision", "raw", ["reuse -> run"])]


def test_code_that_is_identity_is_told_where_a_plan_did_not_keep_the_code_beside_it() -> None:
    old, new = (
        replace(
            entry("a"), id=f"a_{code}", fingerprint=code, code=None,
            payload=payload_text("a", {}, [], code=code),
        )
        for code in "xy"
    )  # fmt: skip
    assert told(diff_targets([old], [new])) == [("changed", "a", ["code changed"])]


_SIDES = st.lists(
    st.builds(
        lambda name, n, code: entry(name, n=n, code=code),
        st.sampled_from("abc"), st.integers(0, 3), st.sampled_from("xy"),
    ),
    max_size=6,
    unique_by=lambda each: each.id,
)  # fmt: skip


@given(_SIDES, _SIDES)
def test_every_target_of_both_sides_is_in_exactly_one_place(
    old: list[Entry], new: list[Entry]
) -> None:
    diff = diff_targets(old, new)
    olds = [each.old.id for each in diff.differences if each.old is not None]
    news = [each.new.id for each in diff.differences if each.new is not None]
    same = {(e.id, e.code) for e in old} & {(e.id, e.code) for e in new}
    assert len(same) == diff.same
    assert sorted(olds) == sorted(e.id for e in old if (e.id, e.code) not in same)
    assert sorted(news) == sorted(e.id for e in new if (e.id, e.code) not in same)
    assert changed_entries(old, new) == [(e.id, e.code) not in same for e in new]
    backwards = diff_targets(new, old)
    counts, other = diff.summary(), backwards.summary()
    assert (counts["appeared"], counts["vanished"]) == (other["vanished"], other["appeared"])


def test_a_step_that_is_the_same_but_for_its_name_is_renamed() -> None:
    """Else a new name reads like one step that was lost and another one that came from nowhere."""
    raw, later = entry("raw"), entry("data/raw")
    old = [raw, entry("tok", (raw,), bind={"x": raw.id}), entry("bag", version="v1"), entry("gone")]
    tok = entry("data/tok", (later,), bind={"x": later.id})
    new = [later, tok, entry("sack", version="v1"), entry("bag", version="v2", n=1)]
    old.append(entry("train", (old[1],), bind={"x": [old[1].id]}))
    new.append(entry("train", (tok,), bind={"x": [tok.id]}))
    old.append(entry("eval", (old[4],)))
    new.append(entry("eval", (new[4],)))
    assert told(diff_targets(old, new)) == [
        ("renamed", "data/raw", ["renamed from raw to data/raw"]),
        ("renamed", "data/tok", ["renamed from tok to data/tok"]),
        ("appeared", "sack", []),
        ("changed", "bag", ["attrs.n added: 1", "version v1 -> v2"]),
        ("cascade", "train", ["needs data/tok, renamed from tok"]),
        ("cascade", "eval", ["needs train, which changed: renamed from tok to data/tok"]),
        ("vanished", "gone", []),
    ]


def test_many_dependencies_with_one_cause_are_one_line() -> None:
    """Else the comparison of a sweep is one line forty-five times over."""
    raws = [entry("raw", n=1), entry("raw", n=2)]
    shards = [[entry(f"shard/{i}", (raw,)) for i in range(45)] for raw in raws]
    points = [[entry("point", (raw,), i=i) for i in range(45)] for raw in raws]
    sides = [
        [raw, *shards[i], *points[i], entry("all", (*shards[i], *points[i]))]
        for i, raw in enumerate(raws)
    ]
    (total,) = [each for each in diff_targets(*sides).differences if each.entry.name == "all"]
    assert total.reasons() == [
        "needs point, shard/0, shard/1 and 43 more, which changed: attrs.n 1 -> 2"
    ]
