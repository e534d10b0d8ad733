"""`--set` values become attributes: one read wrongly builds the wrong thing."""

from __future__ import annotations

import datetime as dt
import decimal
from contextlib import suppress
from pathlib import Path
from typing import Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from marin_build.pipeline.parameter_values import UnfitError, parse_value


@pytest.mark.parametrize(
    ("text", "annotation", "value"),
    [
        ("7", int, 7),
        ("7", str, "7"),
        ("7", float, 7.0),
        ("1e-3", float, 0.001),
        ("inf", float, float("inf")),
        ("true", bool, True),
        ("7", None, 7),
        ("[1, 2]", None, [1, 2]),
        ("gs://x", None, "gs://x"),
        ("7", Any, 7),
        ("[1, 2]", list[int], [1, 2]),
        ("a/b", Path, Path("a/b")),
        ("small", Literal["small", "big"], "small"),
        ("5", int | None, 5),
        ("1.10", int | str, "1.10"),
        ("null", int | None, None),
        ('{"a": 1}', dict[str, int], {"a": 1}),
        ("1.10", decimal.Decimal, decimal.Decimal("1.10")),
        ("90", dt.timedelta, dt.timedelta(seconds=90)),
    ],
)
def test_a_value_is_read_by_its_annotation(text: str, annotation: Any, value: object) -> None:
    found = parse_value(text, annotation)
    assert (found, type(found)) == (value, type(value))


@pytest.mark.parametrize(
    ("text", "annotation"),
    [("x", int), ("1.5", int), ("maybe", bool), ("[1, 'a']", list[int]), ("s", Literal["a"])],
)
def test_a_value_that_does_not_fit_is_refused(text: str, annotation: Any) -> None:
    with pytest.raises(UnfitError, match=r"."):
        parse_value(text, annotation)


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_every_float_is_read_as_it_is_written(value: float) -> None:
    assert parse_value(repr(value), float) == value


@given(st.decimals(allow_nan=False, allow_infinity=False))
def test_no_number_is_rounded(value: decimal.Decimal) -> None:
    """Else an attribute is not what the command line says."""
    try:
        found = parse_value(str(value), float)
    except UnfitError:
        return
    assert decimal.Decimal(repr(found)) == value


@given(st.text())
def test_any_text_is_a_value_or_refused(text: str) -> None:
    for annotation in (None, int, float, list[float], dict[str, Any], Path, dt.datetime):
        with suppress(UnfitError):
            parse_value(text, annotation)
