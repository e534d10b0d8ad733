"""A power cut: what had surely reached the disk is kept, what had not is not believed."""

from __future__ import annotations

import errno
import json
import os
import threading
from typing import TYPE_CHECKING

import pytest

from marin_build.errors import CorruptStateError, StoreError
from marin_build.store import durability
from marin_build.store.durability import FOLDER, Syncing, doubter, runs_cut_short

if TYPE_CHECKING:
    from pathlib import Path


def _cut(prefix: Path, boot: str = "second", host: str = "here") -> list[durability.CutShort]:
    return runs_cut_short(str(prefix), boot=boot, host=host)


def test_a_run_that_ended_leaves_no_doubt(tmp_path: Path) -> None:
    Syncing(str(tmp_path), "r-1", boot="first", host="here").close()
    assert _cut(tmp_path) == []
    assert doubter([]) is None


def test_a_run_the_machine_did_not_survive_is_doubtful_after_its_last_sync(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(durability, "SYNC_EVERY", 0.001)
    noted = threading.Event()
    write = Syncing._write

    def heard(self: Syncing, synced_until: str) -> None:
        write(self, synced_until)
        if synced_until:
            noted.set()

    monkeypatch.setattr(Syncing, "_write", heard)
    run = Syncing(str(tmp_path), "r-1", boot="first", host="here")
    assert noted.wait(240)
    assert _cut(tmp_path, boot="first") == [], "the machine is still up"
    assert _cut(tmp_path, host="elsewhere") == [], "another machine's boots are not known"
    (cut,) = _cut(tmp_path)
    assert cut.run == "r-1"
    doubt = doubter([cut])
    assert doubt is not None
    assert not doubt("r-1", cut.synced_until)
    assert doubt("r-1", "9999")
    assert not doubt("r-2", "9999"), "another run's targets are not touched"
    run.close()


def _full(*_: object) -> None:
    raise OSError(errno.ENOSPC, "No space left on device")


def test_a_full_disk_is_told_before_anything_is_built(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else a note that was not written whole is believed, or its beginnings gather."""
    monkeypatch.setattr(os, "fsync", _full)
    with pytest.raises(OSError, match="No space"):
        Syncing(str(tmp_path), "r-1", boot="first", host="here")
    assert list((tmp_path / durability.FOLDER).iterdir()) == []


def test_what_the_disk_refused_at_the_end_stays_doubtful(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else a power cut after a full disk leaves half of an output, which is believed."""
    run = Syncing(str(tmp_path), "r-1", boot="first", host="here")
    monkeypatch.setattr(Syncing, "_sync", _full)
    with pytest.raises(OSError, match="No space"):
        run.close()
    assert [cut.run for cut in _cut(tmp_path)] == ["r-1"]


def test_a_disk_that_is_full_for_a_while_ends_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else nothing is brought to disk any more for the rest of a run of days."""
    monkeypatch.setattr(durability, "SYNC_EVERY", 0.001)
    run = Syncing(str(tmp_path), "r-1", boot="first", host="here")
    sync, again = Syncing._sync, threading.Event()
    tries = iter([_full, _full])

    def full_at_first(self: Syncing) -> None:
        next(tries, sync)(self)
        again.set()

    monkeypatch.setattr(Syncing, "_sync", full_at_first)
    assert again.wait(240)
    run.close()
    assert _cut(tmp_path) == []


def test_all_is_synced_before_the_note_is_taken_away(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    done: list[str] = []
    monkeypatch.setattr(Syncing, "_sync", lambda _self: done.append("sync"))
    unlink = os.unlink

    def unlinked(path: str) -> None:
        done.append("unlink")
        unlink(path)

    monkeypatch.setattr(os, "unlink", unlinked)
    Syncing(str(tmp_path), "r-1", boot="first", host="here").close()
    assert done == ["sync", "sync", "unlink"]


@pytest.mark.parametrize("text", ["", "[]", "{", json.dumps({"run": "r-1"})])
def test_a_note_nobody_can_read_is_told_not_passed_over(tmp_path: Path, text: str) -> None:
    folder = tmp_path / durability.FOLDER
    folder.mkdir(parents=True)
    (folder / "r-1.json").write_text(text)
    with pytest.raises(CorruptStateError, match=r"r-1\.json"):
        _cut(tmp_path)


@pytest.mark.parametrize("plant", ["a file", "a pipe", "links in a circle"])
def test_what_lies_in_the_place_of_the_notes_is_no_bug(plant: str, tmp_path: Path) -> None:
    """Else one link in a shared prefix ends each plan with a traceback."""
    folder = tmp_path / FOLDER
    folder.parent.mkdir()
    match plant:
        case "a file":
            folder.touch()
        case "a pipe":
            os.mkfifo(folder)
        case _:
            folder.symlink_to(folder.name)
            with pytest.raises(StoreError, match="cannot list"):
                runs_cut_short(str(tmp_path), boot="b", host="h")
            return
    assert runs_cut_short(str(tmp_path), boot="b", host="h") == []
