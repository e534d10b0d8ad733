"""Files of ours: nobody who may write beside them can lead us elsewhere, or have us wait."""

from __future__ import annotations

import os
import socket
from typing import TYPE_CHECKING

import pytest

from marin_build.workspace.own_files import PRIVATE, open_own, read_own
from marin_build.workspace.regular_files import open_regular, read_regular

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


def _socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as made:
        made.bind(str(path))


PLANTS: dict[str, Callable[[Path], object]] = {
    "a folder": lambda path: path.mkdir(),
    "a named pipe": os.mkfifo,
    "a socket": _socket,
    "a symbolic link": lambda path: path.symlink_to("victim"),
    "a symbolic link ": lambda path: path.symlink_to("nowhere"),
    "a symbolic link  ": lambda path: path.symlink_to("/dev/zero"),
}
_WAYS = {
    "read": os.O_RDONLY,
    "write": os.O_WRONLY | os.O_CREAT | os.O_TRUNC,
    "append": os.O_RDWR | os.O_CREAT | os.O_APPEND,
}


@pytest.mark.parametrize("way", _WAYS)
@pytest.mark.parametrize("kind", PLANTS)
@pytest.mark.parametrize("any_folder", [False, True])
def test_only_a_file_is_opened(kind: str, way: str, any_folder: bool, tmp_path: Path) -> None:
    """Else a planted link has us overwrite a file of the user, and a pipe stops the run."""
    victim = tmp_path / "victim"
    victim.write_text("mine")
    path = tmp_path / "log"
    PLANTS[kind](path)
    with pytest.raises(OSError, match=f"it is {kind.strip()}, not a file"):
        open_own(str(path), _WAYS[way], any_folder=any_folder)
    assert victim.read_text() == "mine"
    assert not (tmp_path / "nowhere").exists()


def test_a_folder_that_is_a_link_is_not_followed(tmp_path: Path) -> None:
    """Else `.logs`, made a link to another folder, has us write there."""
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / ".logs").symlink_to("elsewhere")
    path = str(tmp_path / ".logs/attempt-0001.log")
    with pytest.raises(OSError, match="it is a symbolic link, not a file"):
        open_own(path, os.O_WRONLY | os.O_CREAT)
    os.close(open_own(path, os.O_WRONLY | os.O_CREAT, any_folder=True))


@pytest.mark.parametrize("spoil", ["rights", "link", "owner"])
def test_a_private_folder_that_is_not_private_is_not_used(spoil: str, tmp_path: Path) -> None:
    """Else another user reads the logs of a run, or has us write over a file of ours."""
    folder = tmp_path / f"{PRIVATE}r-1-abcdefgh"
    folder.mkdir(mode=0o700)
    (folder / "x").mkdir()
    path = str(folder / "x/log")
    os.close(open_own(path, os.O_WRONLY | os.O_CREAT))
    assert os.stat(path).st_mode & 0o777 == 0o600
    match spoil:
        case "rights":
            folder.chmod(0o770)
        case "link":
            folder.rename(tmp_path / "moved")
            folder.symlink_to("moved")
        case _:
            if os.geteuid() != 0:
                pytest.skip("only root can give a folder away")
            os.chown(folder, 65534, 65534)
    with pytest.raises(OSError, match=r"another user may change this folder|a symbolic link"):
        open_own(path, os.O_RDONLY)


def test_no_more_is_read_than_was_asked_for(tmp_path: Path) -> None:
    path = tmp_path / "x"
    path.write_bytes(b"12345")
    assert read_own(str(path), 5) == b"12345"
    assert read_regular(str(path), 5) == b"12345"
    for read in (read_own, read_regular):
        with pytest.raises(OSError, match="more than 4 bytes"):
            read(str(path), 4)


@pytest.mark.parametrize("place", ["/dev/zero", "/dev", "pipe", "socket"])
def test_what_a_person_names_is_read_if_it_is_a_file(place: str, tmp_path: Path) -> None:
    """Else a pipeline that is a link to /dev/zero takes all memory, and a pipe waits for ever."""
    os.mkfifo(tmp_path / "pipe")
    _socket(tmp_path / "socket")
    link = tmp_path / "link"
    link.symlink_to(place)
    with pytest.raises(OSError, match="not a file"):
        open_regular(str(link))
