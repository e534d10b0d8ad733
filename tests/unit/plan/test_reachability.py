"""What gc may delete: an output that is needed and judged otherwise is lost."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from marin_build.plan.reachability import Fate, Inventoried, Needs, judge
from marin_build.protocol.lease import Lease

LEASE = Lease("ada@far", 1.0, run="r-1", nonce="n", attempt=1)


def _output(target: str, *needs: str, **facts: Any) -> Inventoried:
    name = target.rpartition("_")[0]
    facts = {"status": "SUCCESS", "end": "2026", **facts}
    return Inventoried(f"/out/{target}", name, target, needs=needs, **facts)


NEEDS = Needs({"train_1": "pipeline.py"}, names={"train", "raw", "old"}, newest=0)


def _fates(*outputs: Inventoried, needs: Needs = NEEDS) -> dict[str, str]:
    return {v.output.target: v.fate.value for v in judge(outputs, needs)}


def test_what_is_declared_is_kept_with_all_it_was_made_from() -> None:
    """By its record: under a version another identity may lie, made from other inputs."""
    assert _fates(
        _output("train_1", "raw_1"), _output("raw_1", "/out/raw_0"), _output("raw_0"),
        _output("raw_2"), _output("train_2", "raw_2"),
    ) == {"train_1": "needed", "raw_1": "needed", "raw_0": "needed", "raw_2": "unneeded",
          "train_2": "unneeded"}  # fmt: skip


@pytest.mark.parametrize(
    ("facts", "why"),
    [
        ({"damage": "its record is not readable"}, "its record is not readable"),
        ({"is_ours": False}, "nothing shows that marin-build made it there"),
        ({"holds_others": True}, "another output lies inside it"),
        ({"adopted_from": "gs://old/data"}, "adopted"),
        ({"is_held": True, "lease": LEASE}, "held by ada@far, run r-1, attempt 1"),
        ({"keep": True}, "keep=True"),
    ],
)
def test_what_says_itself_that_it_is_kept(facts: dict[str, Any], why: str) -> None:
    kept, need = judge([_output("old_1", "raw_9", **facts), _output("raw_9")], NEEDS)
    assert (kept.fate, kept.why) == (Fate.NEEDED, why)
    assert (need.fate, need.why) == (Fate.NEEDED, "old_1 was made from it")


def test_the_place_of_adopted_data_is_kept_wherever_it_lies_in_an_output() -> None:
    """It is the only copy."""
    adopted = _output("train_1", adopted_from="/out/old_1/sub")
    assert _fates(adopted, _output("old_1"), _output("old_11")) == {
        "train_1": "needed", "old_1": "needed", "old_11": "unneeded",
    }  # fmt: skip


def test_names_of_other_pipelines_are_not_judged() -> None:
    assert _fates(_output("theirs_1")) == {"theirs_1": "unknown"}


def test_the_newest_builds_of_each_name_are_kept() -> None:
    outputs = [_output(f"raw_{n}", end=f"2026-{n}") for n in "123"]
    outputs += [_output("raw_4", status="FAILED", end=""), _output("theirs_1", end="2020")]
    found = _fates(*outputs, needs=replace(NEEDS, newest=2))
    assert found == {
        "raw_1": "unneeded", "raw_2": "needed", "raw_3": "needed", "raw_4": "unneeded",
        "theirs_1": "needed",
    }  # fmt: skip


def test_a_step_that_says_keep_keeps_all_builds_of_its_name() -> None:
    needs = replace(NEEDS, kept_names={"old"})
    assert _fates(_output("old_1", "raw_1"), _output("raw_1"), needs=needs) == {
        "old_1": "needed", "raw_1": "needed",
    }  # fmt: skip


def test_what_a_run_reads_now_is_kept() -> None:
    needs = replace(NEEDS, in_use={"raw_1": "run r-1"})
    assert _fates(_output("raw_1"), _output("raw_2"), needs=needs)["raw_1"] == "needed"


TARGETS = [f"{name}_{n}" for name in ("raw", "train", "theirs") for n in range(3)]


@st.composite
def _outputs(draw: st.DrawFn) -> list[Inventoried]:
    return [
        _output(
            target,
            *draw(st.lists(st.sampled_from(TARGETS), max_size=3)),
            keep=draw(st.booleans()) and draw(st.booleans()),
            end=draw(st.sampled_from(["", "2025", "2026"])),
        )
        for target in draw(st.lists(st.sampled_from(TARGETS), unique=True))
    ]


@given(_outputs(), st.integers(0, 3), st.sets(st.sampled_from(TARGETS)))
def test_no_output_that_is_kept_loses_an_input(
    outputs: list[Inventoried], newest: int, declared: set[str]
) -> None:
    """And to keep more never deletes more."""
    needs = Needs(dict.fromkeys(declared, "p"), names={"raw", "train"}, newest=newest)
    kept = {v.output.target for v in judge(outputs, needs) if v.fate is Fate.NEEDED}
    there = {output.target: output for output in outputs}
    for target in kept:
        assert kept.issuperset(need for need in there[target].needs if need in there)
    assert kept.issuperset(declared & there.keys())
    more = judge(outputs, replace(needs, newest=newest + 1))
    assert kept <= {v.output.target for v in more if v.fate is Fate.NEEDED}
