"""`--set` values become attributes: one read wrongly builds the wrong thing."""

from __future__ import annotations

import datetime as dt
import enum
import functools
from pathlib import Path
from typing import Annotated, Any, Literal

import pydantic
import pytest

from marin_build.errors import MarinBuildError, SpecificationError
from marin_build.pipeline.parameters import parse_settings


def _pipeline(seed: int, size: Literal["s", "l"] = "s", rest: Any = None) -> Any:
    return seed, size, rest


def test_values_reach_the_pipeline_function() -> None:
    values = parse_settings(_pipeline, {"seed": "3", "rest": "[1]"}, "p.py")
    assert _pipeline(**values) == (3, "s", [1])


def test_all_that_is_wrong_with_the_values_is_reported_together() -> None:
    with pytest.raises(MarinBuildError) as caught:
        parse_settings(_pipeline, {"sede": "3", "size": "xl"}, "p.py")
    text = caught.value.render()
    for part in ("no parameter `sede`", "did you mean `seed`", "`--set size=xl`", "needs the para"):
        assert part in text


def test_a_pipeline_that_takes_anything_is_given_anything() -> None:
    def takes_any(**rest: int) -> dict[str, int]:
        return rest

    assert takes_any(**parse_settings(takes_any, {"a": "1"}, "p.py")) == {"a": 1}


class _Opaque:
    """A type nobody can make from text."""


def test_a_parameter_that_no_text_can_fill_is_refused_in_our_words() -> None:
    def pipeline(thing: _Opaque) -> None: ...

    with pytest.raises(MarinBuildError, match="thing"):
        parse_settings(pipeline, {"thing": "1"}, "p.py")


class Loss(enum.Enum):
    HINGE = "hinge"
    HUBER = "huber"


def _defaults(  # type: ignore[no-untyped-def]
    commit="abc",
    steps=8000,
    rate=0.1,
    loud=False,
    place=Path("a"),
    losses=("a",),
    loss=Loss.HINGE,
) -> None: ...


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("commit", "1234e56", "1234e56"),
        ("commit", "1e400", "1e400"),
        ("commit", "1.10", "1.10"),
        ("commit", "007", "007"),
        ("commit", "true", "true"),
        ("commit", "null", "null"),
        ("commit", "[1]", "[1]"),
        ("steps", "10", 10),
        ("steps", str(2**70), 2**70),
        ("rate", "1", 1.0),
        ("rate", "1e-3", 0.001),
        ("loud", "true", True),
        ("place", "b/c", Path("b/c")),
        ("losses", "[1, 2]", (1, 2)),
        ("loss", "huber", Loss.HUBER),
    ],
)
def test_the_type_of_a_default_counts_where_there_is_no_annotation(
    name: str, text: str, value: object
) -> None:
    """Else a commit id is trained on as a number."""
    found = parse_settings(_defaults, {name: text}, "p.py")[name]
    assert (found, type(found)) == (value, type(value))


@pytest.mark.parametrize(
    ("annotation", "text", "given", "wanted", "reason"),
    [
        (list[str], "hinge", "hinge", 'a list in JSON, like ["a", "b"]', ""),
        (int, "1e4", "1e4", "a whole number", ""),
        (int, "1.5", "1.5", "a whole number", "it is not whole"),
        (float, "fast", "fast", "a number", ""),
        (float, "1e400", "1e400", "a number", "larger than the largest float"),
        (float, "1e-400", "1e-400", "a number", "round it to 0.0"),
        (float, "9007199254740993", "9007199254740993", "a number", "round it to 9007199254740992"),
        (float | None, "1e400", "1e400", "a number", "larger than the largest float"),
        (list[float], "[1e400]", "[1e400]", "a list", "1e400: it is larger"),
        (dict[str, int], '{"a": 1, "a": 2}', '{"a": 1', "an object in JSON", "twice"),
        (bool, "maybe", "maybe", "true or false", ""),
        (Literal["s", "l"], "xl", "xl", "one of `s`, `l`", ""),
        (Loss, "mse", "mse", "one of `hinge`, `huber`", ""),
        (dt.datetime, "20261121", "20261121", "a date and a time", "a bare number is none"),
        (dt.date, "tomorrow", "tomorrow", "a date, like", ""),
        (Annotated[int, pydantic.Field(gt=0)], "0", "0", "a whole number", "greater than 0"),
        (int | None, "x", "x", "a whole number, like 8000, or null", ""),
        (list[int], "[1, {}]", "[1, {}]", "a list in JSON", "`1`: it should be a valid integer"),
        (None, "1.10", "1.10", "a text or a number", "annotate the parameter"),
        (None, "1234e56", "1234e56", "a text or a number", "annotate the parameter"),
        (None, "[NaN]", "[NaN]", "JSON", "NaN is no JSON"),
        (str | None, "9" * 5000, "left out", "", None),
        (int, "9" * 5000, "left out", "a whole number", "too many digits"),
    ],
)
def test_a_value_that_does_not_fit_names_parameter_given_and_expected(
    annotation: Any, text: str, given: str, wanted: str, reason: str | None
) -> None:
    """Else a value is rounded, becomes another one, or is refused in the words of a library."""

    def pipeline(x): ...  # type: ignore[no-untyped-def]

    if annotation is not None:
        pipeline.__annotations__["x"] = annotation
    if reason is None:
        assert parse_settings(pipeline, {"x": text}, "p.py") == {"x": text}
        return
    with pytest.raises(MarinBuildError) as caught:
        parse_settings(pipeline, {"x": text}, "p.py")
    said = caught.value.render()
    for part in ("does not fit the parameter `x`", "given:", given, "expected:", wanted, reason):
        assert part in said
    assert len(said) < 1000


@pytest.mark.parametrize(
    ("text", "value"),
    [("1e-3x", "1e-3x"), ("NaN", "NaN"), ("-Infinity", "-Infinity"), ("007", "007"), ("0.5", 0.5)],
)
def test_without_a_type_only_what_is_clear_is_a_number(text: str, value: object) -> None:
    def pipeline(x): ...  # type: ignore[no-untyped-def]

    assert parse_settings(pipeline, {"x": text}, "p.py") == {"x": value}


class _Called:
    def __init__(self, seed: str = "") -> None: ...

    def __call__(self, seed: int) -> None: ...


@pytest.mark.parametrize(
    ("called", "seed"),
    [
        (functools.partial(_pipeline, rest=1), 7),
        (functools.partial(functools.partial(_pipeline, rest=1), rest=2), 7),
        (_Called(), 7),
        (_Called().__call__, 7),
        (_Called, "7"),
    ],
    ids=["partial", "partial of a partial", "value", "method", "class"],
)
def test_annotations_are_found_of_anything_that_can_be_called(called: Any, seed: object) -> None:
    """Else `--set` ends in a traceback of ours for a pipeline that is no plain function."""
    assert parse_settings(called, {"seed": "7"}, "p.py")["seed"] == seed


@pytest.mark.parametrize("annotation", ["Unknown", "int |", "1 + ''", "os.nothing"])
def test_an_annotation_that_cannot_be_read_is_an_error_of_the_pipeline(annotation: str) -> None:
    """Else a type that only type checkers import looks like a fault of marin-build."""

    def pipeline(seed: int) -> None: ...

    pipeline.__annotations__["seed"] = annotation
    with pytest.raises(SpecificationError) as caught:
        parse_settings(pipeline, {"seed": "7"}, "p.py")
    assert "cannot be read" in caught.value.what
    assert "TYPE_CHECKING" in str(caught.value.hint)
