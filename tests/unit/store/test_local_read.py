"""What may lie in the place of a file of ours: nothing else than a file of bounded size is read."""

from __future__ import annotations

import os
import socket
from typing import TYPE_CHECKING

import pytest

from marin_build.errors import StoreError
from marin_build.protocol import layout
from marin_build.store import bounds
from marin_build.store.bounds import most_bytes
from marin_build.store.local import LocalStore
from marin_build.untrusted_json import parse_json

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


def _socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as made:
        made.bind(str(path))


def _link(to: str, path: Path) -> None:
    path.symlink_to(to)


PLANTS: dict[str, Callable[[Path], object]] = {
    "a folder": lambda path: path.mkdir(),
    "a named pipe": os.mkfifo,
    "a socket": _socket,
    "a dangling link": lambda path: _link("nowhere", path),
    "a link to itself": lambda path: _link(path.name, path),
    "a link to a file": lambda path: _link("/etc/hostname", path),
    "a link to a device": lambda path: _link("/dev/zero", path),
}


@pytest.mark.parametrize("kind", PLANTS)
def test_what_is_no_file_is_there_but_not_read(kind: str, tmp_path: Path) -> None:
    """Else a pipe hangs every reader, and a link to nowhere has `apply` look for ever."""
    path = tmp_path / layout.STATUS
    PLANTS[kind](path)
    store = LocalStore()
    (found, again) = store.get_many([str(path)] * 2)
    assert found is not None
    assert found == again
    assert found.data.endswith(b", not a file>")
    with pytest.raises(ValueError):  # noqa: PT011 - the library's own text
        parse_json(found.data)
    assert store.put_if_absent(str(path), b"x") is None
    assert store.replace_if(str(path), b"x", "another") is None
    if kind != "a folder":
        assert store.delete_if(str(path), found.version)
        assert not os.path.lexists(path)


@pytest.mark.parametrize("name", ["a\0b", "\ud800"])
def test_a_name_that_no_file_can_have_is_no_file(name: str) -> None:
    """Else a record that names such a file ends the command that looks for it."""
    assert LocalStore().get(f"/tmp/{name}") is None


def test_a_document_is_read_up_to_its_bound(tmp_path: Path) -> None:
    """Else a sparse file of a terabyte takes all memory of a machine that reads a status."""
    output = tmp_path / "out"
    (output / layout.LOGS).mkdir(parents=True)
    for path in (
        output / layout.STATUS, output / layout.LEASE, output / layout.RECORD,
        output / layout.ARTIFACT, output / layout.LOGS / "attempt-0001.json",
    ):  # fmt: skip
        with path.open("wb") as stream:
            stream.truncate(1 << 40)
        found = LocalStore().get(str(path))
        assert found is not None
        assert found.data.startswith(b"<1099511627776 bytes or more, ")
    data = output / "model.bin"
    data.write_bytes(b"x" * 100_000)
    found = LocalStore().get(str(data))
    assert found is not None
    assert len(found.data) == 100_000


def test_every_file_of_ours_has_a_bound() -> None:
    """Else a new kind of document is read whole, however long it is."""
    names = [
        layout.STATUS, layout.LEASE, layout.RECORD, layout.ARTIFACT, layout.OLD_ARTIFACT,
        layout.ACCEPTED, layout.CHANGED,
    ]  # fmt: skip
    assert all(most_bytes(f"gs://b/out/{name}") for name in names)
    assert set(bounds._BY_NAME) == set(names)
    assert most_bytes(layout.attempt_path("/p/x", 1)) == bounds.LONGEST
    assert most_bytes(layout.taint_path("/p", "x")) == bounds.LONGEST
    assert most_bytes("/p/x/data.parquet") is None
    assert most_bytes("/p/.marin-build/cache/f/data.pkl") is None


def test_links_in_a_circle_above_a_document_damage_it(tmp_path: Path) -> None:
    """Else an output that is a link to itself ends the plan of all others."""
    (tmp_path / "out").symlink_to("out")
    found = LocalStore().get(f"{tmp_path}/out/{layout.STATUS}")
    assert found is not None
    assert found.data == b"<links in a circle above it, not a file>"


@pytest.mark.parametrize("kind", ["a named pipe", "a socket", "a link to a device"])
def test_what_lies_in_the_place_of_an_output_is_not_waited_for(kind: str, tmp_path: Path) -> None:
    """Else a pipe in the place of an output hangs `apply` as it takes the lease."""
    PLANTS[kind](tmp_path / "out")
    for is_shared in (False, True):
        store = LocalStore(is_shared=is_shared)
        path = f"{tmp_path}/out/{layout.LEASE}"
        assert store.get(path) is None
        with pytest.raises(StoreError, match="in the place of the folder"):
            store.put_if_absent(path, b"x")
        with pytest.raises(StoreError, match="in the place of the folder"):
            store.put(path, b"x")
        assert store.files(f"{tmp_path}/out") == []
        assert store.list(f"{tmp_path}/out") == []


def test_a_link_in_the_place_of_the_folder_of_logs_is_not_written_through(tmp_path: Path) -> None:
    """Else what says how an attempt ended is written where another user likes."""
    (tmp_path / "out").mkdir()
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "out/.logs").symlink_to("../elsewhere")
    with pytest.raises(StoreError):
        LocalStore().put_if_absent(layout.attempt_path(f"{tmp_path}/out", 1), b"x")
    assert list((tmp_path / "elsewhere").iterdir()) == []
