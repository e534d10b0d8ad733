"""Tables of metrics: their columns, the keys of these, and their order."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from marin_build.errors import UsageError
from marin_build.plan.metrics.hashed_step import HashedStep
from marin_build.plan.metrics.metrics_changes import Change, changes_of
from marin_build.plan.metrics.metrics_table import MeasuredTarget, MetricsTable, metrics_table
from marin_build.plan.metrics.returned_numbers import is_missing


def table(
    *rows: tuple[dict[str, Any], dict[str, Any]], columns: tuple[str, ...] = ()
) -> MetricsTable:
    """Rows of attributes and metrics; the targets are t0, t1 ..."""
    keys = [f"t{at}" for at in range(len(rows))]
    steps = {
        key: HashedStep("t", {"attrs": attrs}) for key, (attrs, _) in zip(keys, rows, strict=True)
    }
    targets = [
        MeasuredTarget(key, "t", numbers, seconds=1.0)
        for key, (_, numbers) in zip(keys, rows, strict=True)
    ]
    return metrics_table(targets, keys, steps, columns)


def order(made: MetricsTable) -> str:
    return "".join(row.of.target[1:] for row in made.rows)


def test_columns_are_what_differs_and_all_numbers() -> None:
    made = table(({"a": 1, "b": 1}, {"loss": 2}), ({"a": 2, "b": 1}, {"acc": 3}))
    assert [(column.kind, column.key) for column in made.columns()] == [
        ("build", "target"),
        ("build", "name"),
        ("build", "run"),
        ("build", "built"),
        ("attribute", "a"),
        ("metric", "loss"),
        ("metric", "acc"),
        ("build", "seconds"),
        ("build", "cost"),
    ]
    assert made.flat_rows()[1] | {} == {
        "target": "t1", "name": "t", "run": "", "built": "", "a": 2, "loss": None, "acc": 3,
        "seconds": 1.0, "cost": None,
    }  # fmt: skip


def test_a_metric_keeps_its_key_whatever_attributes_are_called() -> None:
    """A script that reads `loss` must not read an attribute once that differs."""
    made = table(({"loss": "l1"}, {"loss": 1, "seconds": 5}), ({"loss": "l2"}, {"loss": 2}))
    row = made.flat_rows()[0]
    assert (row["loss"], row["attrs.loss"]) == (1, "l1")
    assert (row["seconds"], row["metrics.seconds"]) == (1.0, 5)


def test_rows_are_sorted_and_missing_values_come_last_both_ways() -> None:
    made = table(
        ({}, {"acc": 0.5}),
        ({}, {}),
        ({}, {"acc": math.nan}),
        ({}, {"acc": 0.9}),
        ({}, {"acc": 0.1}),
    )
    assert order(made.sorted_by(["acc"]))[:3] == "403"
    assert order(made.sorted_by(["-acc"])) == "30412"


def test_several_columns_sort_and_the_first_decides_first() -> None:
    made = table(({"x": "b"}, {"m": 1}), ({"x": "a"}, {"m": 1}), ({"x": "c"}, {"m": 0}))
    assert order(made.sorted_by(["m", "x"])) == "210"
    assert order(made.sorted_by(["-m", "-x"])) == "012"


def test_the_end_of_a_name_is_enough() -> None:
    made = table(({}, {"eval.acc": 2}), ({}, {"eval.acc": 1}))
    assert order(made.sorted_by(["acc"])) == "10"


def test_the_heading_of_a_column_is_a_name_of_it() -> None:
    """Else the word that a person reads above a column is refused."""
    made = table(({}, {"acc": 2}), ({}, {"acc": 1}))
    assert order(made.sorted_by(["-time"])) == order(made.sorted_by(["-seconds"]))
    assert made.chosen(["time"]).facts == {"target", "seconds"}
    own = table(({}, {"time": 2}), ({}, {"time": 1}))
    assert order(own.sorted_by(["time"])) == "10"
    assert own.chosen(["time"]).metrics == ("time",)


def test_a_name_that_begins_with_a_minus_is_itself_first() -> None:
    made = table(({}, {"-a": 2, "a": 1}), ({}, {"-a": 1, "a": 2}))
    assert order(made.sorted_by(["-a"])) == "10"


@pytest.mark.parametrize("word", ["los", "-los", "", "-"])
def test_a_column_that_is_not_there_is_refused(word: str) -> None:
    with pytest.raises(UsageError, match="no column is called"):
        table(({}, {"loss": 1})).sorted_by([word])


def test_an_end_that_two_names_have_is_refused() -> None:
    with pytest.raises(UsageError, match="may stand for 2 columns"):
        table(({}, {"a.acc": 1, "b.acc": 2})).sorted_by(["acc"])


def test_columns_can_be_chosen_also_those_that_do_not_differ() -> None:
    rows = (({"a": 1, "b": 1}, {"loss": 2, "acc": 3}), ({"a": 2, "b": 1}, {"loss": 1}))
    made = table(*rows, columns=("b", "*cc", "seconds"))
    assert [column.key for column in made.columns()] == ["target", "b", "acc", "seconds"]
    with pytest.raises(UsageError, match="no column is called `c`"):
        table(*rows, columns=("c",))


VALUES = st.none() | st.integers() | st.floats() | st.booleans()


@given(st.lists(VALUES, max_size=8))
def test_any_numbers_can_be_sorted(values: list[float | None]) -> None:
    made = table(*(({}, {} if value is None else {"m": value}) for value in values))
    if any(value is not None for value in values):
        found = [row.of.metrics.get("m") for row in made.sorted_by(["m"]).rows]
        there = [value for value in found if not is_missing(value)]
        assert there == sorted(v for v in values if v is not None and not is_missing(v))
        assert found[: len(there)] == there


def test_changes_of_a_target_are_attributes_and_numbers() -> None:
    steps = {
        "old": HashedStep("eval", {"attrs": {"n": 1}}),
        "new": HashedStep("eval", {"attrs": {"n": 2}}),
    }
    old = MeasuredTarget("old", "eval", {"acc": 0.5, "gone": 1, "ok": True})
    new = MeasuredTarget("new", "eval", {"acc": 0.75, "ok": False, "loss": math.nan})
    assert changes_of(steps, ("old", "new"), old, new)[:3] == (
        Change("attribute", "n", 1, 2),
        Change("metric", "acc", 0.5, 0.75, 0.25),
        Change("metric", "ok", True, False),
    )
    assert changes_of(steps, (None, "new"), None, new)[0] == Change("metric", "acc", None, 0.75)
    assert changes_of(steps, ("old", "new"), None, None) == (Change("attribute", "n", 1, 2),)
