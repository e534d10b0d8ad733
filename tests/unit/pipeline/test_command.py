"""A value with spaces, quotes or `$(rm -rf /)` in it must reach the program as it is, once."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from marin_build.identity.canonical import FrozenDict
from marin_build.pipeline.command import Command, PathPart, join_word
from marin_build.pipeline.command_checks import check_command
from marin_build.pipeline.source import Source
from marin_build.pipeline.step_spec import StepSpec
from marin_build.workspace.workspace import Workspace
from tests.workspaces import in_workspace

if TYPE_CHECKING:
    from pathlib import Path


def _command(text: Any, **rest: Any) -> Command:
    given: dict[str, Any] = {key: FrozenDict(value) for key, value in rest.items()}
    return Command(text, **given)


DATA = StepSpec(name="data")
TEXT = Source("text", "/project/text.txt")


def test_words_keep_paths_apart_from_text_so_that_scripts_can_move() -> None:
    copy = _command(
        ("cp", "-v", "{data}/a", "--to={output}/{{n}}-{n}", "{text}", ""),
        deps={"data": DATA}, inputs={"text": TEXT}, params={"n": 3},
    )  # fmt: skip
    assert [[part.path for part in word if isinstance(part, PathPart)]
            for word in copy.words("/out")] == [
        [], [], [DATA.output_path], ["/out"], ["/project/text.txt"], [],
    ]  # fmt: skip
    assert copy.argv("/out") == [
        "cp", "-v", f"{DATA.output_path}/a", "--to=/out/{n}-3", "/project/text.txt", "",
    ]  # fmt: skip


def test_a_shell_command_gets_its_values_as_variables() -> None:
    shell = _command("sort {data}/a -k {n} >{output}/b # {{data}}", deps={"data": DATA},
                     params={"n": 2, "unused": 1})  # fmt: skip
    assert [join_word(word) for word in shell.words("/out")] == [
        "env", f"data={DATA.output_path}", "n=2", "output=/out",
        "bash", "-euo", "pipefail", "-c", 'sort "${data}"/a -k "${n}" >"${output}"/b # {data}',
    ]  # fmt: skip


def test_a_shell_command_without_placeholders_is_bash_alone() -> None:
    assert _command("true").argv("/out") == ["bash", "-euo", "pipefail", "-c", "true"]


@given(st.text(alphabet="a{}x$\"' ", max_size=12))
def test_words_of_a_list_are_never_read_by_a_shell(word: str) -> None:
    """Only `{x}` and `{{x}}` mean anything in a list of words."""
    command = _command((word,), params={"x": "VALUE", "a": "A", "ax": "B", "xa": "C"})
    if any(error for error in check_command(command, "c", "p.py:1")):
        return
    plain = word.replace("{", "").replace("}", "")
    shown = command.argv("/out")[0]
    for value, name in (("VALUE", "x"), ("A", "a"), ("B", "ax"), ("C", "xa")):
        shown = shown.replace(value, name)
    assert shown.replace("{", "").replace("}", "") == plain


def test_a_placeholder_of_nothing_is_refused_with_what_there_is() -> None:
    (error,) = check_command(_command("cat {dta}", deps={"data": DATA}), "sort", "p.py:3")
    shown = error.render()
    assert "nothing is called `{dta}`" in shown
    assert "known:    data, output" in shown
    assert "hint: write {{dta}} for the text itself" in shown


@pytest.mark.parametrize("text", [(), ("a", "b\0c"), "a\0b", ("a", 3), ("cat", DATA)])
def test_a_command_is_made_of_strings(text: Any) -> None:
    (error,) = check_command(_command(text), "sort", "p.py:3")
    assert "a command is made of strings" in error.what


def test_a_command_that_ends_well_says_nothing_and_finds_this_python_first(tmp_path: Path) -> None:
    output = tmp_path / "out"
    with in_workspace(Workspace(str(tmp_path), "/out")):
        _command("command -v python >{output}", params={})(str(output))

    assert output.read_text().strip().rpartition("/")[0] == sys.executable.rpartition("/")[0]
