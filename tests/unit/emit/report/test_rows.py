"""The words and numbers of a report's tables."""

from __future__ import annotations

from dataclasses import replace

import pytest

from marin_build.emit.report import summary
from marin_build.emit.report.rows import duration_rows, environment_rows, plan_rows, run_rows
from marin_build.plan.estimate import Duration
from tests.unit.emit.report.reports import report_of

REPORT = report_of("")
PLACE = {target.node.id: number for number, target in enumerate(REPORT.targets)}
TRAIN = REPORT.targets[2]


@pytest.mark.parametrize(
    ("took", "expected", "said"),
    [
        (90.0, 60.0, "30 s slower"),
        (60.0, 90.0, "30 s faster"),
        (61.0, 60.0, "as expected"),
        (0.02, 0.01, "as expected"),
        (90.0, None, ""),
        (0.0, 60.0, ""),
    ],
)
def test_a_duration_is_compared_in_words(took: float, expected: float | None, said: str) -> None:
    """Else people subtract minutes from hours."""
    assert TRAIN.build is not None
    known = Duration(expected, 1) if expected is not None else None
    one = replace(TRAIN, build=replace(TRAIN.build, seconds=took), expected=known)
    (row,) = duration_rows(replace(REPORT, targets=(one,)), PLACE)
    assert row["difference"] == said


def test_the_longest_bar_fills_its_place_and_no_bar_is_longer() -> None:
    rows = duration_rows(REPORT, PLACE)
    assert [row["took_bar"] for row in rows] == ["100.0", "0.0"]
    assert [row["expected_bar"] for row in rows] == ["66.7", "33.3"]


def test_what_needs_a_person_comes_first() -> None:
    """Else a failure stands below a thousand targets that are built."""
    states = [row["state"] for row in plan_rows(REPORT, PLACE)]
    assert states == ["failed", "not built", "built", "built"]


def test_adopted_data_was_built_by_no_run() -> None:
    (row,) = run_rows(REPORT)
    assert row["targets"] == 1
    assert row["command"] == "marin-build apply ''", "a program's folder is that of a machine"


def test_versions_that_differ_stand_side_by_side() -> None:
    """Else half of the outputs were built with another numpy, and nobody sees it."""
    assert TRAIN.build is not None
    other = replace(TRAIN, build=replace(TRAIN.build, distributions={"numpy": "1.26"}))
    rows = dict(environment_rows(replace(REPORT, targets=(TRAIN, other))))
    assert rows["numpy"] == "1.26, 2.1"


@pytest.mark.parametrize(
    ("requested", "states", "said"),
    [
        (1, ["built"], "A report on “a”: it is built."),
        (1, ["built", "built"],
         "A report on “a” and what it was made from: both are built."),
        (1, ["failed"], "A report on “a”: of 1 target, 1 failed."),
        (2, ["held", "stale"],
         "A report on “a” and “b”: of 2 targets, 1 is stale, 1 is being built by another run."),
        (4, ["built"] * 4, "A report on 4 targets: all 4 targets are built."),
    ],
)  # fmt: skip
def test_one_sentence_says_what_the_page_is(requested: int, states: list[str], said: str) -> None:
    """Else a person who gets the page by mail must read all of it to know."""
    targets = tuple(
        replace(
            TRAIN,
            node=replace(TRAIN.node, id=name, name=name, state=state),  # type: ignore[arg-type]
        )
        for name, state in zip("abcd", states, strict=False)
    )
    ids = tuple(target.node.id for target in targets[:requested])
    assert summary.sentence(replace(REPORT, targets=targets, requested=ids)) == said
