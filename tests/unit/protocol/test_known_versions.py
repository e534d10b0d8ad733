"""Versions of distributions that are known: only while nothing was installed or removed."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

import pytest

from marin_build.protocol.known_versions import keep_versions, read_known_versions

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

NAMES = ["tiny", "no-such-distribution-xyz"]


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of installed packages, the only one there is, with `tiny` 1.0; all of it is old."""
    folder = tmp_path / "packages"
    _install(folder, "1.0")
    monkeypatch.setattr(sys, "path", [str(folder)])
    now = sys.modules["time"].time_ns()
    monkeypatch.setattr("time.time_ns", lambda: now + 10_000_000_000)
    return folder


def _install(folder: Path, version: str) -> None:
    info = folder / f"tiny-{version}.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: tiny\nVersion: {version}\n")


def _upgrade(folder: Path) -> None:
    _remove(folder)
    _install(folder, "2.0")


def _remove(folder: Path) -> None:
    (folder / "tiny-1.0.dist-info/METADATA").unlink()
    (folder / "tiny-1.0.dist-info").rmdir()


def _edit(folder: Path) -> None:
    file = folder / "tiny-1.0.dist-info/METADATA"
    before = file.stat()
    file.write_text(file.read_text().replace("1.0", "1.1"))
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))


def _install_the_other(folder: Path) -> None:
    info = folder / "no_such_distribution_xyz-3.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Name: no-such-distribution-xyz\nVersion: 3\n")


def test_versions_are_known_once_they_were_looked_up(installed: Path, tmp_path: Path) -> None:
    assert installed.exists()
    assert read_known_versions(str(tmp_path)) == {}
    keep_versions(str(tmp_path), NAMES[:1])
    assert read_known_versions(str(tmp_path)) == {"tiny": "1.0"}
    keep_versions(str(tmp_path), NAMES[1:])
    assert read_known_versions(str(tmp_path)) == {"tiny": "1.0", NAMES[1]: ""}


@pytest.mark.parametrize("change", [_upgrade, _remove, _edit, _install_the_other])
def test_after_every_change_nothing_is_known(
    installed: Path, tmp_path: Path, change: Callable[[Path], None]
) -> None:
    """Else an upgrade goes unnoticed."""
    keep_versions(str(tmp_path), NAMES)
    change(installed)
    assert read_known_versions(str(tmp_path)) == {}


def test_what_may_still_change_unseen_is_not_kept(
    installed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.undo()
    monkeypatch.setattr(sys, "path", [str(installed)])
    keep_versions(str(tmp_path), NAMES)
    assert read_known_versions(str(tmp_path)) == {}


def test_what_another_finder_finds_is_not_kept(
    installed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else what it finds may change, and no folder does."""

    class Finder:
        def find_spec(self, *_: object) -> None:
            return None

        def find_distributions(self, *_: object) -> tuple[()]:
            return ()

    assert installed.exists()
    keep_versions(str(tmp_path), NAMES)
    monkeypatch.setattr(sys, "meta_path", [Finder(), *sys.meta_path])
    assert read_known_versions(str(tmp_path)) == {}
