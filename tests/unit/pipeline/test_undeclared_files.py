"""A file or folder in an attribute is warned of, with the way out; a plain word is not."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from marin_build import StepSpec, command, source, step
from marin_build.pipeline.undeclared_files import undeclared_files
from marin_build.workspace.workspace import Workspace
from tests.workspaces import in_workspace

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(autouse=True)
def project(tmp_path: Path) -> Iterator[Workspace]:
    (tmp_path / "data" / "raw").mkdir(parents=True)
    (tmp_path / "train").mkdir()
    (tmp_path / ".git").mkdir()
    for name in ("raw.txt", "Makefile", "data/raw/a b.txt"):
        (tmp_path / name).touch()
    workspace = Workspace(str(tmp_path), str(tmp_path / "out"))
    with in_workspace(workspace):
        yield workspace


@dataclass(frozen=True)
class Config:
    path: Path
    split: str = "train"


@step
def plain(output: str, x: Any) -> None: ...


@step
def of_path(output: str, x: Path) -> None: ...


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("raw.txt", '`x="raw.txt"`, a file'),
        ("./raw.txt", '`x="./raw.txt"`, a file'),
        ("data/raw/a b.txt", '`x="data/raw/a b.txt"`, a file'),
        ("data/raw", '`x="data/raw"`, a folder'),
        ("train/", '`x="train/"`, a folder'),
        ("Makefile", '`x="Makefile"`, a file'),
        (Path("train"), '`x="train"`, a folder'),
        (["b", {"k": "raw.txt"}], '`x[1].k="raw.txt"`, a file'),
        (Config(Path("raw.txt")), '`x.path="raw.txt"`, a file'),
        ({"raw.txt"}, '`x[0]="raw.txt"`, a file'),
    ],
)
def test_a_file_in_an_attribute_is_warned_of(value: Any, said: str, project: Workspace) -> None:
    """Else it changes, and nothing is built again."""
    (warning,) = undeclared_files([plain(value)], project)
    assert f"{said} that is not a declared input" in warning
    assert "; give `source(" in warning
    declared = StepSpec(name="s", hash_attrs={"x": value})
    assert undeclared_files([declared], project)[0].endswith(")}`")


@pytest.mark.parametrize(
    "value",
    ["train", "", ".", "..", "/", "/etc/hosts", "../x", "none.txt", "raw.txt/x", "data/none",
     ".git", "a\0b", "x" * 5000, "data/../../etc", 3, None, True, ["a"], "gs://raw.txt",
     "raw.txt\n"],
)  # fmt: skip
def test_no_other_text_is_warned_of(value: Any, project: Workspace) -> None:
    """Else plans are full of warnings that mean nothing, and nobody reads the one that does."""
    if value != "a\0b":
        assert undeclared_files([plain(value)], project) == []
    assert undeclared_files([StepSpec(name="s", hash_attrs={"x": value})], project) == []


def test_an_annotation_says_that_a_word_is_a_path(project: Workspace) -> None:
    assert len(undeclared_files([of_path("train"), plain("train")], project)) == 1  # type: ignore[arg-type]


def test_what_is_declared_is_not_warned_of(project: Workspace) -> None:
    files = {"data": source(f"{project.project}/raw.txt")}
    declared = StepSpec(name="s", hash_attrs={"x": "raw.txt"}, inputs=files)
    assert undeclared_files([declared, of_path(files["data"])], project) == []


def test_parameters_of_commands_are_warned_of(project: Workspace) -> None:
    made = command("python {script}", name="c", params={"script": "raw.txt"})
    (warning,) = undeclared_files([made], project)
    assert 'declare it with `inputs={"script": source(' in warning
