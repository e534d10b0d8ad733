"""The folder of a run on this machine: nobody else can look into it, foresee it, or plant one."""

from __future__ import annotations

import os
import tempfile
from typing import TYPE_CHECKING

import pytest

from marin_build.workspace import private_folder as module
from marin_build.workspace.own_files import PRIVATE
from marin_build.workspace.private_folder import find_private_folders, private_folder

if TYPE_CHECKING:
    from pathlib import Path


_NOBODY = 65534


@pytest.fixture(autouse=True)
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr(module, "_known", {})
    return tmp_path


def test_it_is_for_this_user_alone_and_found_by_other_processes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Else `logs` in another terminal does not find what a run prints."""
    folder = private_folder("r-1")
    assert os.stat(folder).st_mode & 0o777 == 0o700
    assert private_folder("r-1") == folder
    assert private_folder("r-2") != folder
    monkeypatch.setattr(module, "_known", {})
    assert find_private_folders("r-1") == (folder,)
    assert private_folder("r-1") == folder


def _planted(above: Path, spoil: str) -> None:
    """Make what another user may make in the folder for temporary files."""
    folder = above / f"{PRIVATE}r-1-planted0"
    match spoil:
        case "a link":
            (above / "elsewhere").mkdir(mode=0o700)
            folder.symlink_to("elsewhere")
        case "a file":
            folder.touch(mode=0o600)
        case "open to others":
            folder.mkdir()
            folder.chmod(0o777)
        case _:
            if os.geteuid() != 0:
                pytest.skip("only root can act as another user")
            above.chmod(0o1777)
            os.seteuid(_NOBODY)
            try:
                folder.mkdir(mode=0o700)
            finally:
                os.seteuid(0)


@pytest.mark.parametrize("spoil", ["a link", "a file", "open to others", "of another user"])
def test_what_another_user_planted_is_passed_over(spoil: str, tmp_path: Path) -> None:
    """Else he reads the logs, or has the run write where he likes."""
    for above in (tmp_path, *tmp_path.parents):
        if spoil == "of another user" and above.stat().st_uid == os.getuid():
            above.chmod(above.stat().st_mode | 0o011)
    _planted(tmp_path, spoil)
    assert find_private_folders("r-1") == ()
    folder = private_folder("r-1")
    assert os.path.basename(folder) != f"{PRIVATE}r-1-planted0"
    assert find_private_folders("r-1") == (folder,)


@pytest.mark.parametrize("vanishes", ["removed", "replaced"])
def test_it_is_made_anew_where_it_vanished(vanishes: str) -> None:
    """Else a cleaner of temporary files ends a run of weeks."""
    folder = private_folder("r-1")
    os.rmdir(folder)
    if vanishes == "replaced":
        os.mkdir(folder)
        os.chmod(folder, 0o777)
    again = private_folder("r-1")
    assert again != folder
    assert os.stat(again).st_mode & 0o777 == 0o700


@pytest.mark.parametrize("run", ["", "..", "../../etc", "a/b", "*", "r-1\n", "x" * 100, "\0"])
def test_a_run_of_no_possible_name_has_none(run: str) -> None:
    """Else a lease that another program wrote has us look anywhere."""
    assert find_private_folders(run) == ()
