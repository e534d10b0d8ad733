"""Names become paths, so an illegal one must not get past its declaration."""

from __future__ import annotations

import string

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from marin_build.pipeline.names import illegal_name, name_problem, version_problem
from marin_build.text.readable import did_you_mean, near_misses

_LETTERS = set(string.ascii_letters + string.digits + "._-+")


def _is_legal_segment(segment: str) -> bool:
    return bool(segment) and set(segment) <= _LETTERS and segment[0] not in ".+"


@given(st.text(alphabet="ab.-_+/é\n @", max_size=8) | st.text(max_size=5))
@example("a\n")
@example("a/../b")
@example("/a")
@example("a/")
@example("x" * 200)
@example("x" * 201)
@example("y/" * 150 + "y")
@example("٣")
def test_a_name_is_legal_exactly_if_each_of_its_segments_is(name: str) -> None:
    segments = name.split("/")
    legal = all(map(_is_legal_segment, segments)) and max(map(len, segments)) <= 200
    assert (name_problem(name) is None) == legal


@given(st.text(alphabet="v1.-/ \n", max_size=6))
@example("..")
def test_a_version_is_one_segment(version: str) -> None:
    assert (version_problem(version) is None) == _is_legal_segment(version)


class _Text(str):
    __slots__ = ()


@pytest.mark.parametrize("name", [None, 3, b"train", _Text("train"), ["train"]])
def test_only_plain_strings_are_names(name: object) -> None:
    assert name_problem(name) is not None


@pytest.mark.parametrize("name", ["a\nb", "x" * 5000, "é", "\ud800", "\x1b[31m"])
def test_an_illegal_name_is_shown_on_one_short_line_with_its_place(name: str) -> None:
    error = illegal_name(name, name_problem(name) or "", "p.py:7")
    first = error.render().splitlines()[0]
    assert first.isascii()
    assert first.isprintable()
    assert len(first) < 120
    assert ("declared", "p.py:7") in error.facts


def test_a_mistyped_name_is_answered_with_the_nearest_ones() -> None:
    known = ["tokenize", "train", "tokenise-big", "report"]
    assert near_misses("tokenise", known)[0] == "tokenize"
    assert did_you_mean("trian", known) == "did you mean `train`?"
    assert did_you_mean("zzz", known) is None
