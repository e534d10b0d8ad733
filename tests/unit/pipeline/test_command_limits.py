"""Long lists can go by file, and what Linux would refuse is refused before anything runs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from marin_build import StepSpec, command
from marin_build.errors import MarinBuildError
from marin_build.pipeline.command import Command
from marin_build.pipeline.command_limits import LONGEST_LINE, LONGEST_WORD, list_path, write_lists
from marin_build.pipeline.source import Source
from marin_build.workspace.workspace import Workspace
from tests.workspaces import in_workspace

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(autouse=True)
def folder(tmp_path: Path) -> Iterator[Path]:
    with in_workspace(Workspace(str(tmp_path), str(tmp_path / "out"))):
        yield tmp_path


def _parts(count: int) -> list[StepSpec]:
    return [StepSpec(name=f"part/{i}") for i in range(count)]


@pytest.mark.parametrize(
    ("text", "given"),
    [
        (" ".join(f"{{p{i}}}" for i in range(25_000)),
         {"deps": {f"p{i}": part for i, part in enumerate(_parts(25_000))}}),
        ([f"{{p{i}}}" for i in range(25_000)],
         {"deps": {f"p{i}": part for i, part in enumerate(_parts(25_000))}}),
        ("cat {x}", {"params": {"x": "a" * (LONGEST_WORD + 1)}}),
        ("cat {x}", {"params": {"x": "\u00e9" * (LONGEST_WORD // 2 + 1)}}),
        (["cat", "{x}{x}"], {"params": {"x": "a" * (LONGEST_WORD - 100)}}),
        (["a" * (LONGEST_WORD + 1)], {}),
        ("true " + "a" * LONGEST_WORD, {}),
        (["x"] * (LONGEST_LINE // 9), {}),
        ("cat {parts}", {"deps": {"parts": _parts(25_000)}}),
        (["cat", "{parts}"], {"deps": {"parts": _parts(25_000)}}),
    ],
    ids=["shell", "words", "value", "bytes", "twice", "word", "code", "many", "list", "spread"],
)  # fmt: skip
def test_a_command_line_that_is_too_long_is_known_at_once(text: Any, given: Any) -> None:
    """Else 14,000 steps are built before the one that cannot be."""
    with pytest.raises(MarinBuildError, match=r"the command line is too long: .* Linux gives"):
        command(text, name="join", **given)


def test_long_lists_go_by_file(folder: Path) -> None:
    """Else a step that joins 6,000 parts cannot be a command."""
    parts = _parts(6000)
    files = [Source("a", "/data/a"), Source("b", "/data/b")]
    join = command(
        [
            "sh",
            "-c",
            'cat "$@" > {output}/all',
            "sh",
            "{parts_list}",
            "{files_list}",
            "{names_list}",
        ],
        name="join",
        deps={"parts": parts},
        inputs={"files": files},
        params={"names": ["x", 2]},
    )
    assert join.deps == tuple(parts)
    assert [source.name for source in join.inputs.values()] == ["a", "b"]
    assert isinstance(join.fn, Command)
    output = folder / "joined"
    output.mkdir()
    join.fn(str(output))
    lines = (output / "all").read_text().splitlines()
    assert lines == [*(part.output_path for part in parts), "/data/a", "/data/b", "x", "2"]
    assert {path.name for path in output.iterdir()} == {".lists", "all"}


def test_the_order_of_a_list_is_identity() -> None:
    one, two = _parts(2)
    first = command("cat {parts}", name="join", deps={"parts": [one, two]})
    assert (
        first.fingerprint
        != command("cat {parts}", name="join", deps={"parts": [two, one]}).fingerprint
    )
    assert (
        first.fingerprint
        == command("cat {parts}", name="join", deps={"parts": (one, two)}).fingerprint
    )


def test_a_list_for_a_remote_output_lies_in_the_project(folder: Path) -> None:
    path = list_path("gs://bucket/join_1", "parts")
    assert path.startswith(f"{folder}/.marin-build/lists/")
    assert path != list_path("gs://bucket/join_2", "parts")


def test_a_list_by_file_is_no_placeholder_where_an_author_uses_its_name(folder: Path) -> None:
    """Else a pipeline that has both names gets another file than it did."""
    join = command(
        "cat {parts_list} > {output}/all",
        name="join",
        deps={"parts": _parts(2)},
        params={"parts_list": "own.txt"},
    )
    assert isinstance(join.fn, Command)
    assert join.fn.argv(str(folder))[1:3] == ["parts_list=own.txt", f"output={folder}"]


@pytest.mark.parametrize("value", ["a\nb", None, ["a"]])
def test_what_is_no_line_is_refused(value: object) -> None:
    with pytest.raises(MarinBuildError, match="`names`"):
        command("cat {names_list}", name="join", params={"names": ["a", value]})


def test_a_path_with_a_line_break_is_no_line() -> None:
    """Else the command reads two files that are not there."""
    for given in (
        {"deps": {"x": [StepSpec(name="a") / "a\nb"]}},
        {"inputs": {"x": [Source("a", "/a\nb")]}},
    ):
        with pytest.raises(MarinBuildError, match="what has a line break cannot be a line"):
            command("cat {x_list}", name="join", **given)
        command("cat {x}", name="join", **given)


def test_git_ignores_the_lists_in_a_project(folder: Path) -> None:
    """Else `git add .` takes lists of paths into the project's history."""
    write_lists({"parts": ["gs://bucket/a"]}, "gs://bucket/join_1")
    assert (folder / ".marin-build/.gitignore").read_text().endswith("*\n")
    assert Path(list_path("gs://bucket/join_1", "parts")).read_text() == "gs://bucket/a\n"
