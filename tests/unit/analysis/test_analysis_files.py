"""The folder of analyses: for one user, bounded, and never in the way."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from marin_build.analysis import analysis_files
from marin_build.analysis.analysis_files import AnalysisFiles

if TYPE_CHECKING:
    from pathlib import Path


def test_what_was_written_is_read(tmp_path: Path) -> None:
    files = AnalysisFiles(str(tmp_path))
    assert files.salt() is None
    salt = files.make_salt()
    assert files.salt() == files.make_salt() == salt
    key = files.key_of(salt, {"parameter n": "1"})
    assert key != files.key_of(salt, {"parameter n": "2"})
    assert key != files.key_of(b"another", {"parameter n": "1"})
    name = files.write_columns(b"columns")
    files.write_index(key, {"state": "used", "columns": name})
    assert files.index(key) == {"state": "used", "columns": name}
    os.close(files.open_columns(name))
    folder = tmp_path / ".marin-build" / "analyses"
    assert {path.stat().st_mode & 0o777 for path in folder.iterdir()} == {0o600}
    assert folder.stat().st_mode & 0o777 == 0o700
    files.drop(key)
    with pytest.raises(OSError, match="No such file"):
        files.index(key)


def test_the_oldest_are_deleted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Else a sweep over parameters fills the disk."""
    monkeypatch.setattr(analysis_files, "MOST", 3)
    files = AnalysisFiles(str(tmp_path))
    folder = tmp_path / ".marin-build" / "analyses"
    for number in range(6):
        name = files.write_columns(b"%d" % number)
        files.write_index(str(number), {"columns": name})
        os.utime(folder / f"{number}.json", (number, number))
        os.utime(folder / f"{name}.columns", (number, number))
        files.clean()
    assert sorted(path.stem for path in folder.glob("*.json")) == ["3", "4", "5"]
    assert len(list(folder.glob("*.columns"))) == 3
    monkeypatch.setattr(analysis_files, "MOST_BYTES", 2)
    files.clean()
    assert sorted(path.stem for path in folder.glob("*.json")) == ["4", "5"]


def test_a_link_in_the_place_of_the_folder_leads_nowhere(tmp_path: Path) -> None:
    """Else what a user can write to is filled, or read, elsewhere."""
    (tmp_path / ".marin-build").mkdir()
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / ".marin-build" / "analyses").symlink_to(tmp_path / "elsewhere")
    files = AnalysisFiles(str(tmp_path))
    with pytest.raises(OSError, match=r"link|directory"):
        files.make_salt()
    assert not list((tmp_path / "elsewhere").iterdir())


def test_what_a_killed_command_left_is_deleted(tmp_path: Path) -> None:
    """Else each kill leaves up to 50 MB for ever."""
    files = AnalysisFiles(str(tmp_path))
    files.make_salt()
    folder = tmp_path / ".marin-build" / "analyses"
    for name in ("a.columns.12.new", "b.json.34.new"):
        (folder / name).write_bytes(b"half")
    os.utime(folder / "a.columns.12.new", (1_000_000_000, 1_000_000_000))
    files.clean()
    assert {path.name for path in folder.iterdir()} == {"salt", "b.json.34.new"}
