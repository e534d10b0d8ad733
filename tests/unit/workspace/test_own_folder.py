"""The folder `.marin-build`: what marin-build leaves in a project is not committed by accident."""

from __future__ import annotations

import os
import subprocess
from typing import TYPE_CHECKING

import pytest

from marin_build.store.local import LocalStore
from marin_build.workspace.own_folder import make_folder

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(
    "made",
    [
        ".marin-build",
        ".marin-build/outputs",
        ".marin-build/outputs/a/.marin-build/runs",
        "sub/out/.marin-build/unsynced",
    ],
)
def test_git_sees_nothing_of_our_folder(made: str, tmp_path: Path) -> None:
    """Else `git add .` commits a checkpoint of 10 GB."""
    subprocess.run(["git", "init", "-q", str(tmp_path)], check=True)
    make_folder(str(tmp_path / made))
    make_folder(str(tmp_path / made))
    (tmp_path / made / "data").touch()
    told = subprocess.run(
        ["git", "-C", str(tmp_path), "status", "--porcelain", "-uall"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert told.stdout == ""
    assert len(list(tmp_path.rglob(".gitignore"))) == 1


def test_a_user_who_commits_the_folder_may(tmp_path: Path) -> None:
    """Else a `.gitignore` that a user took away comes back."""
    make_folder(str(tmp_path / ".marin-build"))
    (tmp_path / ".marin-build" / ".gitignore").unlink()
    make_folder(str(tmp_path / ".marin-build" / "outputs"))
    assert [path.name for path in (tmp_path / ".marin-build").iterdir()] == ["outputs"]


def test_a_folder_of_a_similar_name_is_not_ours(tmp_path: Path) -> None:
    for name in ("my.marin-build", ".marin-build-2", "plain"):
        make_folder(str(tmp_path / name / "x"))
    assert not list(tmp_path.rglob(".gitignore"))


def test_what_a_store_writes_is_ignored_too(tmp_path: Path) -> None:
    """Else a program that builds without `apply` makes a folder that git sees."""
    LocalStore().put(str(tmp_path / ".marin-build/outputs/a_1/.executor_status"), b"RUNNING")
    assert (tmp_path / ".marin-build" / ".gitignore").is_file()


@pytest.mark.parametrize("around", [0o755, 0o775])
def test_the_group_that_can_write_around_it_can_write_in_it(tmp_path: Path, around: int) -> None:
    """Else the umask of the first user of a shared prefix shuts the others out."""
    prefix = tmp_path / "prefix"
    prefix.mkdir()
    prefix.chmod(around)
    before = os.umask(0o022)
    try:
        make_folder(str(prefix / ".marin-build" / "runs" / "r-1"))
        make_folder(str(prefix / ".marin-build" / "outputs" / "a_1" / ".logs"))
    finally:
        os.umask(before)
    modes = {str(path.relative_to(prefix)): path.stat().st_mode & 0o777
             for path in prefix.rglob("*") if path.is_dir()}  # fmt: skip
    outputs = [path for path in modes if "outputs/" in path]
    assert {modes.pop(path) for path in outputs} == {0o755}, "what a user builds is as its umask"
    modes.pop(".marin-build/outputs")
    assert set(modes.values()) == {around}
