"""What a load looked at, as it is kept: the same after reading; anything else is refused."""

from __future__ import annotations

import contextlib
import json
import os
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from marin_build.analysis import questions
from marin_build.analysis.observations import Observations
from marin_build.analysis.searched_folders import searched

if TYPE_CHECKING:
    from pathlib import Path

    from marin_build.analysis.questions import Answer

SALT = b"k" * 32


def _observations(project: Path, asked: dict[str, list[str]]) -> Observations:
    answers: dict[str, dict[str, Answer]] = {
        kind: {subject: questions.answer_now(kind, subject, SALT) for subject in subjects}
        for kind, subjects in asked.items()
    }
    answers[questions.SURROUNDINGS] = dict(questions.surroundings())
    answers[questions.GIVEN] = {"parameter lr": questions.digest(SALT, "parameter lr", "0.1")}
    folders = {str(project): searched(str(project), {"helper"}, 1 << 63)}
    return Observations(str(project), SALT, answers, {}, folders)


GIVEN = {"parameter lr": "0.1"}


def _read_again(found: Observations) -> Observations:
    return Observations.of_json(json.loads(json.dumps(found.json_values())))


def test_they_are_the_same_after_reading(tmp_path: Path) -> None:
    (tmp_path / "a\udcff").write_text("1")
    asked = {
        questions.FILE: [str(tmp_path / "a\udcff"), str(tmp_path / "no")],
        questions.NAMES: [str(tmp_path)],
        questions.ENTRIES: [str(tmp_path)],
        questions.STATUS: [str(tmp_path)],
        questions.CALLED: ["getcwd"],
        questions.VARIABLE: ["HOME", "NO_SUCH"],
    }
    found = _observations(tmp_path, asked)
    again = _read_again(found)
    assert again == found
    assert again.first_change(GIVEN) is None
    (tmp_path / "helper.py").write_text("")
    assert again.first_change(GIVEN) is not None


@pytest.mark.parametrize(
    ("asked", "change", "words"),
    [
        ({questions.FILE: ["a"]}, lambda p: (p / "a").write_text("22"), "`a` was edited"),
        ({questions.FILE: ["a"]}, lambda p: (p / "a").unlink(), "`a` is gone"),
        ({questions.FILE: ["b"]}, lambda p: (p / "b").write_text(""), "`b` came"),
        ({questions.FILE: ["b"]}, lambda p: (p / "b").mkdir(), "`b` was edited"),
        (
            {questions.NAMES: ["d"]},
            lambda p: (p / "d/x.csv").write_text(""),
            "`d/x.csv` came to the listed folder `d`",
        ),
        (
            {questions.ENTRIES: ["d"]},
            lambda p: (p / "d/y").rmdir(),
            "`d/y` is gone from the listed folder `d`",
        ),
        (
            {questions.DISTRIBUTIONS: ["d"]},
            lambda p: (p / "d/pandas-2.1.dist-info").rename(p / "d/pandas-2.2.dist-info"),
            "pandas 2.1 -> 2.2",
        ),
        (
            {},
            lambda p: (p / "helper.py").write_text(""),
            "`helper.py`, which an import may find, came or is gone",
        ),
    ],
)
def test_a_change_is_told_in_words(
    asked: dict[str, list[str]], change: Any, words: str, tmp_path: Path
) -> None:
    (tmp_path / "a").write_text("1")
    (tmp_path / "d/y").mkdir(parents=True)
    (tmp_path / "d/pandas-2.1.dist-info").mkdir()
    paths = {kind: [str(tmp_path / each) for each in names] for kind, names in asked.items()}
    found = _observations(tmp_path, paths)
    assert found.first_change(GIVEN) is None
    change(tmp_path)
    assert found.first_change(GIVEN) == words


def test_what_is_given_and_variables_are_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_HOME", "/one")
    found = _observations(tmp_path, {questions.VARIABLE: ["HF_HOME"]})
    assert found.first_change({"parameter lr": "0.2"}) == "parameter lr changed"
    assert found.first_change({}) is not None
    monkeypatch.setenv("HF_HOME", "/two")
    assert found.first_change(GIVEN) == "variable HF_HOME changed"
    monkeypatch.delenv("HF_HOME")
    assert found.first_change(GIVEN) == "variable HF_HOME is not set any more"


def test_values_are_in_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MY_TOKEN", "hunter22")
    found = _observations(tmp_path, {questions.VARIABLE: ["MY_TOKEN"], questions.VARIABLES: [""]})
    assert "hunter22" not in json.dumps(found.json_values())


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
)


@given(st.sampled_from(["project", "salt", "answers", "libraries", "searched"]), VALUES)
def test_a_damaged_part_is_refused_or_read(part: str, value: object) -> None:
    here = os.getcwd()
    answers = {questions.GIVEN: {"a": "b"}}
    good = Observations(here, SALT, answers, {}, {here: searched(here, ["a"], 0)}).json_values()
    with contextlib.suppress(ValueError):
        Observations.of_json({**good, part: value}).first_change({})


@given(VALUES, st.sampled_from([*questions.ASKED, "other", questions.SURROUNDINGS]))
def test_damaged_answers_are_refused_or_told(value: object, kind: str) -> None:
    good = Observations(os.getcwd(), SALT, {}, {}, {}).json_values()
    for answers in (
        {kind: value},
        {kind: {"/a": value}},
        {kind: {value: None}} if isinstance(value, str) else {},
    ):
        try:
            found = Observations.of_json({**good, "answers": answers})
            found.first_change({})
        except ValueError:
            pass


def test_two_loads_of_different_commands_are_joined(tmp_path: Path) -> None:
    """A library that one command has imported before asks nothing when a pipeline imports it."""
    (tmp_path / "a").write_text("1")
    file = {questions.FILE: [str(tmp_path / "a")]}
    one = _observations(tmp_path, {**file, questions.VARIABLE: ["HOME"]})
    two = _observations(tmp_path, {**file, questions.KIND: ["/etc"]})
    assert one != two
    both = one.joined(two)
    assert both is not None
    assert both.answers.keys() == one.answers.keys() | two.answers.keys()
    assert both.first_change(GIVEN) is None
    assert _read_again(both) == both


def test_loads_that_saw_something_else_are_not_joined(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("1")
    one = _observations(tmp_path, {questions.FILE: [str(tmp_path / "a")]})
    assert one.joined(_observations(tmp_path, {})) is None
    (tmp_path / "a").write_text("22")
    assert one.joined(_observations(tmp_path, {questions.FILE: [str(tmp_path / "a")]})) is None
    (tmp_path / "helper.py").write_text("")
    with_helper = _observations(tmp_path, {})
    (tmp_path / "helper.py").unlink()
    assert with_helper.joined(_observations(tmp_path, {})) is None
