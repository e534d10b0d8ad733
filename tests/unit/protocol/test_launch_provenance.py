"""Who started a build, as records of artifacts say it."""

from __future__ import annotations

import json
import logging
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from marin_build.protocol import launch_provenance as module
from marin_build.protocol.launch_provenance import (
    LAUNCH_PROVENANCE_ENV,
    NoUserError,
    Provenance,
    publish_provenance,
    username_segment,
)

if TYPE_CHECKING:
    from pathlib import Path


def _published(built_by: str | None) -> str:
    return Provenance("t", "c", dirty=True, branch=None, built_by=built_by).to_json()


@pytest.fixture(autouse=True)
def _alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(LAUNCH_PROVENANCE_ENV, raising=False)


def _checkout(folder: Path) -> None:
    for args in (
        ["init", "-q", "-b", "trunk"],
        ["remote", "add", "origin", "https://ada:pass@example.com/x"],
        ["-c", "user.name=Ada", "-c", "user.email=a@x", "commit", "-q", "--allow-empty", "-m", "1"],
    ):
        subprocess.run(["git", *args], cwd=folder, check=True)


def test_a_checkout_is_named_by_its_files_and_its_commit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else nobody finds the code that made an output; a password in a URL stays out of it."""
    _checkout(tmp_path)
    monkeypatch.setattr(sys, "argv", ["train.py", "--set", "token=abc"])
    found = Provenance.capture(tmp_path)
    assert (found.branch, found.dirty) == ("trunk", False)
    assert len(found.base_commit) >= 7
    assert len(found.tree_hash) >= 7
    assert found.git_remote == "https://example.com/x"
    assert found.command_line == ("train.py", "--set", "token=...")
    (tmp_path / "new.txt").write_text("x")
    assert Provenance.capture(tmp_path).dirty


def test_outside_of_a_checkout_the_rest_is_known(tmp_path: Path) -> None:
    found = Provenance.capture(tmp_path)
    assert (found.tree_hash, found.base_commit, found.branch) == ("", "", None)
    assert found.created_at


def test_what_started_a_job_is_what_its_record_names(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else an output names a pod's root user and no commit."""
    said = Provenance.from_json(_published("ada"))
    monkeypatch.setenv(LAUNCH_PROVENANCE_ENV, said.to_json())
    assert Provenance.capture(tmp_path) == said
    publish_provenance(str(tmp_path))
    assert Provenance.capture(tmp_path) == said


def test_each_run_of_a_program_publishes_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else the records of a notebook's second run name the command of the first."""
    monkeypatch.setattr(module, "_own", "")
    for word in ("first", "second"):
        monkeypatch.setattr(sys, "argv", [word])
        publish_provenance(str(tmp_path))
        assert Provenance.capture(tmp_path).command_line == (word,)


@pytest.mark.parametrize("raw", ["{", "[]", "{}", '{"tree_hash": "", "built_by": 3}', "null"])
def test_what_is_not_readable_is_ignored(
    raw: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv(LAUNCH_PROVENANCE_ENV, raw)
    with caplog.at_level(logging.WARNING):
        assert Provenance.capture(tmp_path).tree_hash == ""
    assert LAUNCH_PROVENANCE_ENV in caplog.text


@pytest.mark.parametrize(
    ("login", "segment"),
    [("ada", "ada"), ("Ada.Love@host", "ada-love"), ("a_b-c", "a_b-c"), ("root", "root")],
)
def test_a_user_is_one_segment_of_a_path(
    login: str, segment: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(LAUNCH_PROVENANCE_ENV, _published(login))
    assert username_segment() == segment


@pytest.mark.parametrize("login", ["", "@host", "///"])
def test_nobody_gets_no_folder(login: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Else dev versions of all who have no name land in one folder."""
    monkeypatch.setattr("getpass.getuser", lambda: login)
    with pytest.raises(NoUserError) as caught:
        username_segment()
    assert isinstance(caught.value, RuntimeError)


def test_a_text_that_was_written_is_read_back() -> None:
    said = Provenance("t", "c", dirty=True, branch="b", built_by="ada", command_line=("x", "y"))
    assert Provenance.from_json(said.to_json()) == said
    assert json.loads(said.to_json())["command_line"] == ["x", "y"]
