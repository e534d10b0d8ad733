"""Values in cells: readable for people, exact and harmless for programs."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from marin_build.cli.views.metrics_cells import (
    attribute_text,
    change_text,
    csv_cell,
    json_value,
    number_text,
)


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (0.123456789, "0.123457"), (1e-7, "1e-07"), (2.0, "2"), (123456, "123456"),
        (123456789012345, "123456789012345"), (1234567890123456, "1.23457e+15"),
        (True, "true"), (math.nan, "nan"), (-math.inf, "-inf"), (10**400, "1.00000e+400"),
    ],
)  # fmt: skip
def test_numbers_for_people(number: float, text: str) -> None:
    assert number_text(number) == text


def test_changes_have_a_sign() -> None:
    shown = [change_text(change) for change in (0.5, -0.5, 0, None, math.inf)]
    assert shown == ["+0.5", "-0.5", "0", "", "+inf"]


def test_a_text_that_looks_like_another_value_is_quoted() -> None:
    """Else `1` and `"1"`, which are two identities, look the same."""
    values = ["adam", "1", 1, 1.0, True, "true", None, "null", "", [1, "a"], "NaN", "a b"]
    assert [attribute_text(value) for value in values] == [
        "adam", '"1"', "1", "1.0", "true", '"true"', "null", '"null"', '""', '[1, "a"]', '"NaN"',
        "a b",
    ]  # fmt: skip


def test_a_digest_is_shortened_for_people() -> None:
    assert attribute_text("ab" * 32) == "abababababab"
    assert csv_cell("ab" * 32) == "ab" * 32


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=5,
)


@given(VALUES)
def test_no_value_writes_on_a_terminal_or_is_a_formula(value: Any) -> None:
    for text in (csv_cell(value), attribute_text(value)):
        assert text.isprintable() or not text
    if isinstance(value, str | list | dict):
        assert csv_cell(value)[:1] not in {
            "=",
            "+",
            "-",
            "@",
            "\uff1d",
            "\uff0b",
            "\uff0d",
            "\uff20",
        }


@given(VALUES)
def test_json_is_strict_and_numbers_are_exact(value: Any) -> None:
    again = json.loads(json.dumps(json_value(value), allow_nan=False))
    if isinstance(value, int) or (isinstance(value, float) and math.isfinite(value)):
        assert again == value
        assert csv_cell(value) in (repr(value), str(value).lower())
