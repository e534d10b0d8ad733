"""The proof: a new form that would build anything anew, or wait for less, is not written."""

from __future__ import annotations

from typing import Any

import pytest

from marin_build.compat.migration.planned_steps import planned_steps
from marin_build.compat.migration.proof import compare_plans

from .conftest import planned_step

ONE = planned_step(1, {}, name="one", output_path="b/one", needs=frozenset({"b/raw"}))


def test_equal_plans_hold_whatever_their_fingerprints() -> None:
    other = planned_step(
        9, {"x": 1}, name="one", output_path="b/one", needs=frozenset({"b/raw"}), fingerprint="0"
    )
    proof = compare_plans([ONE], [other])
    assert proof.holds
    assert (proof.targets, proof.reported, proof.fingerprints) == (1, 0, {"b/one": "0"})


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"output_path": "b/two"}, ["one: b/one is gone", "one: b/two is new"]),
        ({"decision": "run"}, ["one: reuse -> run"]),
        ({"needs": frozenset()}, ["one: no longer needs b/raw"]),
        ({"needs": frozenset({"b/raw", "b/x"})}, ["one: now needs b/x"]),
    ],
)
def test_a_difference_is_told(changed: dict[str, Any], said: list[str]) -> None:
    given: dict[str, Any] = {
        "name": "one",
        "output_path": "b/one",
        "needs": frozenset({"b/raw"}),
        **changed,
    }
    proof = compare_plans([ONE], [planned_step(1, {}, **given)])
    assert not proof.holds
    assert list(proof.differences) == said


def test_a_plan_tells_where_its_steps_are_declared() -> None:
    decision = {
        "name": "one",
        "target": "one-1",
        "output_path": "gs://b/one-1",
        "fingerprint": "f",
        "decision": "pruned",
        "drift": [{"kind": "identity"}],
        "deps": [],
        "declared": "a/run.py:7",
        "payload": {"attrs": {"data": "DEP[0]", "model.width": 4, "path": "hard/coded"}},
    }
    document = {"prefix": "gs://b", "pipeline": "a/run.py", "decisions": [decision]}
    (step,) = planned_steps(document)
    assert (step.line, step.folder, step.decision) == (7, "one-1", "reuse")
    assert (step.dependencies, step.versioned, step.has_other_identity) == (1, 2, True)
    (other,) = planned_steps({**document, "pipeline": "b.py", "prefix": "gs://c"})
    assert (other.line, other.folder) == (0, None)
