"""Writes that a power cut must not leave empty: on disk before they take a place."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from marin_build.protocol.tombstone import Tombstone
from marin_build.protocol.tombstone_writes import put_tombstone, take_away
from marin_build.store.local import LocalStore, lasting
from marin_build.store.memory import MemoryStore

if TYPE_CHECKING:
    from pathlib import Path

TOMBSTONE = Tombstone("SUCCESS", "ada@here", "2026", "g-1")


@pytest.fixture
def order(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What was synced and what was moved into its place, in their order."""
    calls: list[str] = []
    rename, fsync = os.rename, os.fsync

    def renamed(old: str, new: str, **folders: int | None) -> None:
        calls.append("rename")
        rename(old, new, **folders)

    def synced(descriptor: int) -> None:
        calls.append("fsync")
        fsync(descriptor)

    monkeypatch.setattr(os, "rename", renamed)
    monkeypatch.setattr(os, "fsync", synced)
    return calls


def test_the_status_of_an_old_output_is_on_disk_before_it_is_replaced(
    tmp_path: Path, order: list[str]
) -> None:
    """Else a power cut beside a `gc` costs what was built days ago: its status is empty."""
    store, output = LocalStore(), str(tmp_path)
    version = store.put(f"{output}/.executor_status", b"SUCCESS")
    assert order == ["rename"], "a build syncs nothing"
    marked = put_tombstone(store, output, version, TOMBSTONE)
    assert marked is not None
    assert take_away(store, output, marked, TOMBSTONE) is not None
    assert order == ["rename", "fsync", "rename", "fsync", "rename"]


def test_what_is_no_local_disk_is_as_it_was() -> None:
    store = MemoryStore()
    assert lasting(store) is store
