"""Facts that one process keeps for later ones: for the same user, Python and project only."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from marin_build.workspace.kept_facts import keep_facts, read_facts

FACTS = {"a": [1, None], "b\udce9": "\u202e"}


def _file(project: Path) -> Path:
    (file,) = (project / ".marin-build/facts").iterdir()
    return file


def test_what_was_kept_is_read_and_replaced(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        read_facts(str(tmp_path), "code")
    keep_facts(str(tmp_path), "code", FACTS)
    assert read_facts(str(tmp_path), "code") == FACTS
    keep_facts(str(tmp_path), "code", {})
    assert read_facts(str(tmp_path), "code") == {}
    with pytest.raises(FileNotFoundError):
        read_facts(str(tmp_path), "distributions")
    assert _file(tmp_path).stat().st_mode & 0o077 == 0
    assert (tmp_path / ".marin-build/.gitignore").exists()


def test_another_search_path_has_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Else a module of one name is taken for that of another."""
    keep_facts(str(tmp_path), "code", FACTS)
    monkeypatch.setattr(sys, "path", ["/elsewhere", *sys.path])
    with pytest.raises(FileNotFoundError):
        read_facts(str(tmp_path), "code")


def test_a_copied_project_does_not_take_what_was_kept_for_the_first(tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        keep_facts(str(tmp_path / name), "code", {"name": name})
    _file(tmp_path / "one").rename(_file(tmp_path / "two"))
    with pytest.raises(ValueError, match="made for another"):
        read_facts(str(tmp_path / "two"), "code")


@pytest.mark.parametrize("mode", [0o620, 0o602, 0o666])
def test_what_others_may_have_written_is_not_taken(tmp_path: Path, mode: int) -> None:
    """Else a user of a shared machine tells another one that nothing drifted."""
    keep_facts(str(tmp_path), "code", FACTS)
    _file(tmp_path).chmod(mode)
    with pytest.raises(ValueError, match="another user"):
        read_facts(str(tmp_path), "code")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
def test_the_file_of_another_user_is_not_taken(tmp_path: Path) -> None:
    keep_facts(str(tmp_path), "code", FACTS)
    os.chown(_file(tmp_path), 12345, -1)
    with pytest.raises(ValueError, match="another user"):
        read_facts(str(tmp_path), "code")


@pytest.mark.parametrize("data", [b"", b"{", b"[]", b"\xff", b"{}", b"[" * 10_000])
def test_a_damaged_file_is_none(tmp_path: Path, data: bytes) -> None:
    keep_facts(str(tmp_path), "code", FACTS)
    _file(tmp_path).write_bytes(data)
    with pytest.raises(ValueError, match=r".*"):
        read_facts(str(tmp_path), "code")


def test_what_is_no_file_is_not_waited_for(tmp_path: Path) -> None:
    """Else a pipe in its place hangs every command."""
    keep_facts(str(tmp_path), "code", FACTS)
    file = _file(tmp_path)
    for make in (os.mkfifo, Path.mkdir, lambda path: path.symlink_to("/dev/zero")):
        file.unlink() if not file.is_dir() else file.rmdir()
        make(file)
        with pytest.raises(OSError, match=r".*"):
            read_facts(str(tmp_path), "code")
