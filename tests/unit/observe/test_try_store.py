"""A store in which leases would not hold is found out before anything is built there."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import pytest

from marin_build.observe.try_store import try_store
from marin_build.store.local import LocalStore
from marin_build.store.memory import MemoryStore

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path


class Overwriting(MemoryStore):
    """Creates what is there, as a store that ignores `If-None-Match`."""

    def put_if_absent(self, path: str, data: bytes) -> str | None:
        return self.put(path, data)


class Careless(MemoryStore):
    """Replaces and deletes whatever is there, as a store that ignores `If-Match`."""

    def replace_if(self, path: str, data: bytes, version: str) -> str | None:
        return self.put(path, data)

    def delete_if(self, path: str, version: str) -> bool:
        self.delete([path])
        return True


class Late(MemoryStore):
    """Lists do not see what was just written."""

    def list(self, folder: str) -> list[str]:
        return []


@pytest.mark.parametrize(
    ("store", "said"),
    [
        (MemoryStore(), []),
        (Overwriting(), ["a second writer may create what is there"]),
        (
            Careless(),
            [
                "a writer may replace what it has not seen",
                "a read does not see the last write",
                "a writer may delete what it has not seen",
            ],
        ),
        (Late(), ["a list does not see what was written"]),
    ],
)
def test_what_does_not_hold_is_said(store: Any, said: Sequence[str]) -> None:
    """Else two runs build one target at once, and nothing told the user."""
    broken = try_store(store, "memory://here/outputs").broken
    for words in said:
        assert any(one.startswith(words) for one in broken), broken
    assert bool(broken) == bool(said)


def test_nothing_stays(tmp_path: Path) -> None:
    """Else each `doctor` leaves something in a folder that is not its own."""
    prefix = tmp_path / "not/yet/there"
    trial = try_store(LocalStore(), str(prefix))
    assert trial.broken == ()
    assert trial.ahead is not None
    assert os.listdir(tmp_path) == []
