"""Outputs must land under the prefix the person gave, wherever the program is started."""

from __future__ import annotations

from threading import Thread
from typing import TYPE_CHECKING

import pytest

from marin_build.workspace import (
    Workspace,
    absolute_prefix,
    current_workspace,
    default_workspace,
    find_project,
    is_url,
    joins_identity,
)
from tests.workspaces import in_workspace

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(
    ("prefix", "absolute"),
    [
        ("out", "/base/out"),
        ("./out/", "/base/out"),
        ("../out", "/out"),
        ("/data//out/", "/data/out"),
        ("gs://bucket/a/", "gs://bucket/a"),
        ("s3://bucket", "s3://bucket"),
    ],
)
def test_a_prefix_becomes_absolute_without_a_trailing_slash(prefix: str, absolute: str) -> None:
    assert absolute_prefix(prefix, "/base") == absolute


def test_a_home_folder_is_expanded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/ada")
    assert absolute_prefix("~/out", "/base") == "/home/ada/out"


@pytest.mark.parametrize(
    ("path", "url"), [("gs://b", True), ("/a/b", False), ("C:/b", False), ("a:b", False)]
)
def test_urls_are_told_from_folders(path: str, url: bool) -> None:
    assert is_url(path) is url


@pytest.mark.parametrize("marker", ["marin-build.toml", "pyproject.toml", ".git"])
def test_the_project_is_the_nearest_folder_with_a_marker(tmp_path: Path, marker: str) -> None:
    inner = tmp_path / "project" / "a" / "b"
    inner.mkdir(parents=True)
    (tmp_path / "project" / marker).touch()
    (tmp_path / marker).touch()
    assert find_project(str(inner)) == str(tmp_path / "project")


def test_the_default_prefix_is_in_the_project_and_the_environment_wins(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").touch()
    below = tmp_path / "below"
    below.mkdir()
    assert default_workspace({}, str(below)) == Workspace(
        str(tmp_path), f"{tmp_path}/.marin-build/outputs"
    )
    given = default_workspace({"MARIN_PREFIX": "here"}, str(below))
    assert given == Workspace(str(tmp_path), f"{below}/here")


def test_a_workspace_holds_for_a_block_and_the_former_one_comes_back(workspace: Workspace) -> None:
    other = Workspace("/other", "gs://bucket")
    with in_workspace(other):
        assert current_workspace() == other
    assert current_workspace() == workspace


def test_steps_that_run_in_threads_see_the_same_workspace(workspace: Workspace) -> None:
    seen: list[Workspace] = []
    thread = Thread(target=lambda: seen.append(current_workspace()))
    thread.start()
    thread.join()
    assert seen == [workspace]


def test_the_authors_word_on_code_goes_before_that_of_the_run() -> None:
    """Else `--code-policy` rebuilds what its author said must not be rebuilt for its code."""
    for run, said, policy in (
        (None, None, "report"), ("rebuild", None, "rebuild"), ("rebuild", "ignore", "ignore"),
        ("ignore", "rebuild", "rebuild"), (None, "ignore", "ignore"),
    ):  # fmt: skip
        place = Workspace("/p", "/p/out", run)  # type: ignore[arg-type]
        with in_workspace(place):
            assert place.policy(said) == policy  # type: ignore[arg-type]
            assert joins_identity(said) == (policy == "rebuild")  # type: ignore[arg-type]
