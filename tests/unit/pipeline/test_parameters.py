"""`--set` values become attributes: one read wrongly builds the wrong thing."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import pytest

from marin_build.errors import MarinBuildError
from marin_build.pipeline.parameters import call_with, parse_settings, parse_value


@pytest.mark.parametrize(
    ("text", "annotation", "value"),
    [
        ("7", int, 7),
        ("7", str, "7"),
        ("7", float, 7.0),
        ("1e-3", float, 0.001),
        ("true", bool, True),
        ("7", None, 7),
        ("[1, 2]", None, [1, 2]),
        ("gs://x", None, "gs://x"),
        ("7", Any, 7),
        ("[1, 2]", list[int], [1, 2]),
        ("a/b", Path, Path("a/b")),
        ("small", Literal["small", "big"], "small"),
        ("5", int | None, 5),
        ("null", int | None, None),
        ('{"a": 1}', dict[str, int], {"a": 1}),
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
    with pytest.raises(ValueError, match=r"."):
        parse_value(text, annotation)


def _pipeline(seed: int, size: Literal["s", "l"] = "s", rest: Any = None) -> Any:
    return seed, size, rest


def test_values_reach_the_pipeline_function() -> None:
    values = parse_settings(_pipeline, {"seed": "3", "rest": "[1]"}, "p.py")
    assert call_with(_pipeline, values) == (3, "s", [1])


def test_all_that_is_wrong_with_the_values_is_reported_together() -> None:
    with pytest.raises(MarinBuildError) as caught:
        parse_settings(_pipeline, {"sede": "3", "size": "xl"}, "p.py")
    text = caught.value.render()
    for part in ("no parameter `sede`", "did you mean `seed`", "`--set size=xl`", "needs the para"):
        assert part in text


def test_a_pipeline_that_takes_anything_is_given_anything() -> None:
    def takes_any(**rest: int) -> dict[str, int]:
        return rest

    assert call_with(takes_any, parse_settings(takes_any, {"a": "1"}, "p.py")) == {"a": 1}


class _Opaque:
    """A type nobody can make from text."""


def test_a_parameter_that_no_text_can_fill_is_refused_in_our_words() -> None:
    def pipeline(thing: _Opaque) -> None: ...

    with pytest.raises(MarinBuildError, match="thing"):
        parse_settings(pipeline, {"thing": "1"}, "p.py")
