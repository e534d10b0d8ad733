"""A look at one target: what is misread here is built twice, or lost."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from marin_build.errors import CorruptStateError
from marin_build.protocol.look import Seen, look
from marin_build.store.local import LocalStore

from .support import LEASE, STATUS, Faulty, lease_of

if TYPE_CHECKING:
    from pathlib import Path


def test_nothing_is_there(tmp_path: Path) -> None:
    assert look(LocalStore(), f"{tmp_path}/no") == Seen()


def test_status_and_lease_are_read_with_their_versions(tmp_path: Path) -> None:
    store, output = LocalStore(), str(tmp_path)
    status = store.put(f"{output}/{STATUS}", b"FAILED")
    assert look(store, output) == Seen("FAILED", status)
    lease = store.put(f"{output}/{LEASE}", lease_of().encode())
    assert look(store, output) == Seen("FAILED", status, lease_of(), lease)
    store.delete_if(f"{output}/{STATUS}", status)
    assert look(store, output) == Seen(None, "", lease_of(), lease)


def test_a_status_of_marin_that_says_nothing_ran_keeps_its_version(tmp_path: Path) -> None:
    """Else the RUNNING that replaces it is refused for ever."""
    store, output = LocalStore(), str(tmp_path)
    version = store.put(f"{output}/{STATUS}", b'{"date": "1", "status": "WAITING"}\n')
    assert look(store, output) == Seen(None, version)


def test_the_lease_is_read_before_the_status(tmp_path: Path) -> None:
    """Who reads RUNNING, and then finds no lease, would build what was just built."""
    store = Faulty()
    look(store, str(tmp_path))
    assert store.calls == [("get", LEASE), ("get", STATUS)]


@pytest.mark.parametrize("name", [STATUS, LEASE])
def test_what_cannot_be_read_is_an_error_and_not_an_absence(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"half a wor")
    with pytest.raises(CorruptStateError, match=str(tmp_path / name)):
        look(LocalStore(), str(tmp_path))
