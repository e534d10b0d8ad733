"""A record says who built it, from which code, and tells no secret."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

from marin_build.protocol.provenance import provenance

if TYPE_CHECKING:
    from pathlib import Path


def test_values_of_set_are_not_written_down(tmp_path: Path) -> None:
    words = ["marin-build", "apply", "--set", "token=secret", "a=b"]
    assert provenance(str(tmp_path), words).argv == (
        "marin-build", "apply", "--set", "token=...", "a=b",
    )  # fmt: skip


def test_no_way_of_writing_set_tells_its_value(tmp_path: Path) -> None:
    words = ["marin-build", "--set=token=secret", "--set", "a=b=secret", "--set", "--set=c"]
    assert provenance(str(tmp_path), words).argv == (
        "marin-build", "--set=token=...", "--set", "a=...", "--set", "--set=...",
    )  # fmt: skip


def test_a_folder_without_git_has_no_commit(tmp_path: Path) -> None:
    found = provenance(str(tmp_path), [])
    assert (found.commit, found.dirty) == (None, None)


def test_changed_code_is_called_dirty(tmp_path: Path) -> None:
    def git(*words: str) -> None:
        name = ("-c", "user.name=a", "-c", "user.email=a@b")
        subprocess.run(["git", "-C", str(tmp_path), *name, *words], check=True, capture_output=True)

    git("init")
    (tmp_path / "a.py").write_text("1")
    git("add", ".")
    git("commit", "-m", "a")
    clean = provenance(str(tmp_path), [])
    assert clean.commit is not None
    assert (len(clean.commit), clean.dirty) == (40, False)
    (tmp_path / "a.py").write_text("2")
    assert provenance(str(tmp_path), []).dirty is True
