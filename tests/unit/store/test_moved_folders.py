"""gc moves whole outputs away: who waited for the lock of one must not write beside the next."""

from __future__ import annotations

import fcntl
import os
import threading
from typing import TYPE_CHECKING

import pytest

from marin_build.errors import StoreError
from marin_build.store import folder_lock
from marin_build.store.local import LocalStore

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize("is_shared", [False, True])
def test_a_lock_on_a_folder_that_was_moved_is_taken_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, is_shared: bool
) -> None:
    """Else two runs create one lease, each under another lock."""
    output, guard = tmp_path / "out", tmp_path / "out" / ".guard"
    output.mkdir()
    guard.touch()
    held = os.open(guard if is_shared else output, os.O_RDONLY)
    fcntl.flock(held, fcntl.LOCK_EX)
    waits, locks = threading.Event(), []
    take = folder_lock.take_lock

    def take_lock(descriptor: int, path: str) -> None:
        locks.append(os.fstat(descriptor).st_ino)
        waits.set()
        take(descriptor, path)

    monkeypatch.setattr(folder_lock, "take_lock", take_lock)
    store = LocalStore(is_shared=is_shared)
    waiter = threading.Thread(target=store.put_if_absent, args=(f"{output}/lease", b"x"))
    waiter.start()
    assert waits.wait(240)
    output.rename(tmp_path / "trash")
    os.close(held)
    waiter.join(240)
    assert not waiter.is_alive()
    assert (output / "lease").read_bytes() == b"x"
    assert not (tmp_path / "trash" / "lease").exists()
    assert len(set(locks)) == 2, "the second lock is that of what lies there now"


def test_a_folder_is_moved_with_all_it_holds(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "x").write_text("x")
    LocalStore().move_folder(str(tmp_path / "out"), str(tmp_path / "deep" / "er" / "trash"))
    assert (tmp_path / "deep" / "er" / "trash" / "x").read_text() == "x"
    assert not (tmp_path / "out").exists()


def test_what_cannot_be_moved_stays(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "trash").mkdir()
    (tmp_path / "trash" / "x").touch()
    with pytest.raises(StoreError, match="cannot move"):
        LocalStore().move_folder(str(tmp_path / "out"), str(tmp_path / "trash"))
    assert (tmp_path / "out").exists()
