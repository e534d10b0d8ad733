"""Which numbers of an artifact are metrics, and what they are called."""

from __future__ import annotations

import json
import math

from hypothesis import given
from hypothesis import strategies as st

from marin_build.plan.metrics.returned_numbers import difference, is_missing, returned_numbers
from marin_build.untrusted_json import parse_json

NUMBERS = st.integers() | st.floats() | st.booleans()
JSON = st.recursive(
    NUMBERS | st.text() | st.none(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)


def test_nested_numbers_are_called_by_their_path() -> None:
    artifact = {"loss": 0.25, "eval": {"acc": 1, "c4/bpb": 0.5}, "done": True}
    expected = {"loss": 0.25, "eval.acc": 1, "eval.c4/bpb": 0.5, "done": True}
    assert returned_numbers(artifact) == expected


def test_a_step_that_returns_one_number_has_one_metric() -> None:
    assert returned_numbers(6) == {"value": 6}


def test_texts_nulls_and_lists_are_no_metrics() -> None:
    """Else a curve of a million losses would be a million columns."""
    assert returned_numbers({"name": "a", "none": None, "curve": [1, 2], "l": [{"a": 1}]}) == {}


def test_what_json_has_no_number_for_is_a_number_again() -> None:
    """Artifacts write it as a text; a diverged run must not look as if it had no loss."""
    found = returned_numbers({"a": "NaN", "b": "Infinity", "c": "-Infinity", "d": "nan"})
    assert math.isnan(found.pop("a"))
    assert found == {"b": math.inf, "c": -math.inf}


def test_two_numbers_of_one_name_are_both_kept() -> None:
    assert returned_numbers({"eval": {"acc": 1}, "eval.acc": 2}) == {
        "eval.acc": 1,
        "eval.acc (2)": 2,
    }


def test_a_name_that_holds_a_secret_is_blotted_out() -> None:
    name = "at https://user:hunter22@host/"
    assert "hunter22" not in str(returned_numbers({name: 1}))


@given(JSON)
def test_every_number_outside_lists_is_found_once(artifact: object) -> None:
    def count(value: object) -> int:
        if isinstance(value, dict):
            return sum(map(count, value.values()))
        return int(isinstance(value, int | float) or value in ("NaN", "Infinity", "-Infinity"))

    again = parse_json(json.dumps(artifact))
    assert len(returned_numbers(again)) == count(again)


@given(NUMBERS | st.none(), NUMBERS | st.none())
def test_a_difference_is_a_number_or_nothing(old: float | None, new: float | None) -> None:
    found = difference(old, new)
    assert found is None or not is_missing(found)
    if is_missing(old) or is_missing(new):
        assert found is None


def test_no_difference_of_a_whole_number_that_no_float_holds() -> None:
    assert difference(10**400, 0.5) is None
    assert difference(10**400, 10**400 + 1) == 1
