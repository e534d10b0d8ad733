"""Metrics and attributes are short for people, and none looks like another value."""

from __future__ import annotations

import math

import pytest

from marin_build.text.values import attribute_text, number_text


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


def test_a_text_that_looks_like_another_value_is_quoted() -> None:
    """Else `1` and `"1"`, which are two identities, look the same."""
    values = ["adam", "1", 1, 1.0, True, "true", None, "null", "", [1, "a"], "NaN", "a b"]
    assert [attribute_text(value) for value in values] == [
        "adam", '"1"', "1", "1.0", "true", '"true"', "null", '"null"', '""', '[1, "a"]', '"NaN"',
        "a b",
    ]  # fmt: skip
