"""Worktrees of git: none is left behind, and a revision that is missing is explained."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from typing import TYPE_CHECKING

import pytest

from marin_build.operations.loading.git_worktree import commit_of, unknown_revision, worktree

if TYPE_CHECKING:
    from pathlib import Path

IDENTITY = ("-c", "user.name=Ada", "-c", "user.email=ada@example.org")
DIES_INSIDE = """
import os, signal, sys
from marin_build.operations.loading.git_worktree import worktree
with worktree(sys.argv[1], "HEAD"):
    os.kill(os.getpid(), signal.SIGKILL)
"""


def _git(folder: Path, *args: str) -> str:
    done = subprocess.run(
        ["git", "-C", str(folder), *IDENTITY, *args], capture_output=True, text=True, check=True
    )
    return done.stdout


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a checkout with two commits; temporary folders go beside it."""
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    monkeypatch.setenv("TMPDIR", str(temporary))
    monkeypatch.setattr(tempfile, "tempdir", None)
    made = tmp_path / "checkout"
    made.mkdir()
    _git(made, "init", "-q", "-b", "main")
    for name in ("a", "b"):
        (made / name).touch()
        _git(made, "add", "-A")
        _git(made, "commit", "-q", "-m", name)
    return made


def test_what_a_killed_program_left_is_removed_by_the_next(checkout: Path) -> None:
    """Else each `kill -9` of `diff` leaves a checkout on the disk, and in `git worktree list`."""
    killed = subprocess.run(
        [sys.executable, "-c", DIES_INSIDE, str(checkout)], env=os.environ, check=False
    )
    assert killed.returncode == -9
    assert len(_git(checkout, "worktree", "list").splitlines()) == 2
    with worktree(str(checkout), "HEAD"):
        assert len(_git(checkout, "worktree", "list").splitlines()) == 2
    assert len(_git(checkout, "worktree", "list").splitlines()) == 1
    assert not list((checkout.parent / "temporary").iterdir())


def test_worktrees_in_use_and_those_of_users_stay(checkout: Path) -> None:
    """Else two comparisons at a time, or a user's own worktree, lose their files."""
    own = checkout.parent / "own"
    _git(checkout, "worktree", "add", "-q", "--detach", str(own))
    with worktree(str(checkout), "HEAD") as one, worktree(str(checkout), "HEAD~1") as other:
        assert [sorted(os.listdir(each)) for each in (one, other)] == [
            [".git", "a", "b"],
            [".git", "a"],
        ]
    assert own.is_dir()


@pytest.mark.parametrize("revision", ["HEAD~1", "main~1", "v1", "0123abcd"])
def test_a_shallow_clone_is_told(checkout: Path, revision: str) -> None:
    """Else a user of a CI service looks for a typing error in a revision that exists."""
    shallow = checkout.parent / "shallow"
    _git(checkout, "clone", "-q", "--depth", "1", f"file://{checkout}", str(shallow))
    assert commit_of(str(shallow), revision) is None
    error = unknown_revision(str(shallow), revision, "no such revision")
    assert "fetch-depth: 0" in (error.hint or "")
    assert "git fetch --unshallow" in (error.hint or "")


def test_other_reasons_why_a_revision_is_missing(checkout: Path, tmp_path: Path) -> None:
    assert unknown_revision(str(checkout), "mian", "no").hint == "did you mean `main`?"
    single = tmp_path / "single"
    _git(checkout, "branch", "topic")
    _git(checkout, "clone", "-q", "--single-branch", f"file://{checkout}", str(single))
    hint = unknown_revision(str(single), "origin/topic", "no").hint or ""
    assert "git fetch origin topic:refs/remotes/origin/topic" in hint
    empty = tmp_path / "empty"
    empty.mkdir()
    _git(empty, "init", "-q")
    assert "git commit" in (unknown_revision(str(empty), "HEAD", "no").hint or "")
