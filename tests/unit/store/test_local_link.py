"""Links of ours on a disk: replaced in one step, and never in place of what is not ours."""

from __future__ import annotations

import os
import threading
from typing import TYPE_CHECKING

import pytest

from marin_build.errors import StoreError
from marin_build.store.local_link import replace_link

if TYPE_CHECKING:
    from pathlib import Path


def test_a_link_is_made_with_its_folder_and_replaced(tmp_path: Path) -> None:
    """Else the name leads to the build of last week."""
    path = tmp_path / "out/.marin-build/latest/a"
    for to in ("../../a_1", "../../a_2", "../../a_2"):
        replace_link(str(path), to)
        assert os.readlink(path) == to
    assert os.listdir(path.parent) == ["a"]
    assert (tmp_path / "out/.marin-build/.gitignore").exists()


@pytest.mark.parametrize("kind", ["file", "folder"])
def test_what_is_no_link_stays(tmp_path: Path, kind: str) -> None:
    """Else a file that a person put there is gone after the next build."""
    path = tmp_path / "a"
    path.write_text("mine") if kind == "file" else path.mkdir()
    replace_link(str(path), "../../a_1")
    assert not path.is_symlink()
    assert os.listdir(tmp_path) == ["a"]


def test_nothing_is_written_through_a_link_in_the_place_of_the_folder(tmp_path: Path) -> None:
    """Else who may write to a prefix has links written wherever he likes."""
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "latest").symlink_to("elsewhere")
    with pytest.raises(StoreError, match="a symbolic link"):
        replace_link(str(tmp_path / "latest/a"), "../../a_1")
    assert os.listdir(tmp_path / "elsewhere") == []


def test_what_a_killed_process_left_is_replaced(tmp_path: Path) -> None:
    """Else a run that got the process id of a dead one cannot point to its builds."""
    import itertools

    from marin_build.store import local_link

    replace_link(str(tmp_path / "a"), "../../a_0")
    number = next(local_link._counter)
    local_link._counter = itertools.count(number)
    (tmp_path / f".{os.getpid()}-{number}.tmp").symlink_to("nowhere")
    replace_link(str(tmp_path / "a"), "../../a_1")
    assert os.listdir(tmp_path) == ["a"]
    assert os.readlink(tmp_path / "a") == "../../a_1"


def test_a_link_always_leads_somewhere_while_many_replace_it(tmp_path: Path) -> None:
    """Else a reader meets a moment without a result."""
    path = str(tmp_path / "a")
    replace_link(path, "0")
    over = threading.Event()

    def replace(own: int) -> None:
        for number in range(200):
            replace_link(path, f"{own}-{number}")

    writers = [threading.Thread(target=replace, args=(own,)) for own in range(4)]
    seen: set[str] = set()

    def read() -> None:
        while not over.is_set():
            seen.add(os.readlink(path))

    reader = threading.Thread(target=read)
    for thread in (reader, *writers):
        thread.start()
    for thread in writers:
        thread.join()
    over.set()
    reader.join()
    assert seen
    assert os.listdir(tmp_path) == ["a"]
