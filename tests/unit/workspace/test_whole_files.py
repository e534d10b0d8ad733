"""Files that are replaced whole, or not at all."""

from __future__ import annotations

import errno
import os
from typing import TYPE_CHECKING

import pytest

from marin_build.workspace.whole_files import write_whole

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize("broken", ["write", "rename"])
def test_what_was_there_stays_when_a_write_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, broken: str
) -> None:
    """Else a full disk costs the picture of yesterday, too."""
    place = tmp_path / "graph.svg"
    write_whole(str(place), "old")

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "rename" if broken == "rename" else "fchmod", full)
    with pytest.raises(OSError, match="No space left"):
        write_whole(str(place), "new")
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [("graph.svg", "old")]


def test_rights_and_links_stay(tmp_path: Path) -> None:
    """Else a page that all may read becomes private, and a link a file of its own."""
    real, link = tmp_path / "real", tmp_path / "link"
    real.write_text("old")
    real.chmod(0o664)
    link.symlink_to(real)
    write_whole(str(link), "new")
    assert (real.read_text(), real.stat().st_mode & 0o777, link.is_symlink()) == (
        "new",
        0o664,
        True,
    )
    write_whole(str(tmp_path / "fresh"), "x")
    mask = os.umask(0)
    os.umask(mask)
    assert (tmp_path / "fresh").stat().st_mode & 0o777 == 0o666 & ~mask


def test_what_is_no_file_is_written_to(tmp_path: Path) -> None:
    """Else `-o /dev/stdout` and `-o >(less)` replace a device or a pipe by a file."""
    read, write = os.pipe()
    write_whole(f"/dev/fd/{write}", "text\n")
    assert os.read(read, 100) == b"text\n"
    os.close(read)
    os.close(write)
    write_whole(os.devnull, "text")
    with pytest.raises(IsADirectoryError):
        write_whole(str(tmp_path), "text")
