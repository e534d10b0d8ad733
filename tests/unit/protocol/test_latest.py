"""Stable names for people: they lead to the newest build, and nothing depends on them."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from marin_build.errors import StoreAwayError
from marin_build.protocol.latest import point_to_latest, read_pointer
from marin_build.protocol.layout import latest_path, prefix_of_output
from marin_build.store.memory import MemoryStore

from .support import publication

if TYPE_CHECKING:
    from pathlib import Path

    from marin_build.protocol.documents import Record

URL = "gs://b/out"


def _record(name: str, target: str, adopted_from: str | None = None) -> Record:
    update = {"name": name, "target": target, "adopted_from": adopted_from}
    return publication("ada", 1).record.model_copy(update=update)


@pytest.mark.parametrize(
    ("output", "name", "target", "prefix"),
    [
        ("/out/a_01234567", "a", "a_01234567", "/out"),
        ("/out/x/a/v1", "x/a", "x/a@v1", "/out"),
        (f"{URL}/a_01234567", "a", "a_01234567", URL),
        ("/elsewhere/mine", "a", "a_01234567", None),
        ("/a_01234567", "a", "a_01234567", None),
    ],
)
def test_the_prefix_of_an_output_follows_from_its_target(
    output: str, name: str, target: str, prefix: str | None
) -> None:
    """Else a pointer lies where nobody looks for it."""
    assert prefix_of_output(output, name, target) == prefix


def test_on_a_disk_a_link_leads_to_the_output(tmp_path: Path) -> None:
    """Else a plot has another path after each change of a parameter."""
    for target in ("x/a_00000001", "x/a_00000002"):
        output = tmp_path / target
        output.mkdir(parents=True)
        (output / "f").write_text(target)
        point_to_latest(MemoryStore(), str(output), _record("x/a", target))()
    path = tmp_path / ".marin-build/latest/x~a"
    assert (os.readlink(path), (path / "f").read_text()) == ("../../x/a_00000002", "x/a_00000002")


def test_names_within_names_do_not_meet(tmp_path: Path) -> None:
    """Else the pointer of `a/b` is written into the output of `a`."""
    for name in ("a", "a/b"):
        (tmp_path / f"{name}_00000001").mkdir(parents=True)
        target = f"{name}_00000001"
        point_to_latest(MemoryStore(), str(tmp_path / target), _record(name, target))()
    assert sorted(os.listdir(tmp_path / ".marin-build/latest")) == ["a", "a~b"]
    assert os.listdir(tmp_path / "a_00000001") == []


def test_a_link_leads_to_adopted_data_where_it_lies(tmp_path: Path) -> None:
    """Else the name of adopted data leads to a folder without data."""
    (tmp_path / "a_00000001").mkdir()
    record = _record("a", "a_00000001", "/data/a")
    point_to_latest(MemoryStore(), str(tmp_path / "a_00000001"), record)()
    assert os.readlink(tmp_path / ".marin-build/latest/a") == "/data/a"


def test_in_a_bucket_an_object_names_the_output() -> None:
    """Else people have to list a bucket to find the newest build."""
    store = MemoryStore()
    for target in ("a_00000001", "a_00000002"):
        point_to_latest(store, f"{URL}/{target}", _record("a", target))()
        blob = store.get(latest_path(URL, "a"))
        assert blob is not None
        assert read_pointer(blob.data) == f"{URL}/{target}"


@pytest.mark.parametrize("data", [b"mine", b"mine\n", b"{}\n", b"", b"gs://b/\x1b\n", b"\xff\n"])
def test_what_is_no_pointer_stays(data: bytes) -> None:
    """Else an object that a person put there is gone after the next build."""
    store = MemoryStore()
    store.put(latest_path(URL, "a"), data)
    point_to_latest(store, f"{URL}/a_00000001", _record("a", "a_00000001"))()
    blob = store.get(latest_path(URL, "a"))
    assert blob is not None
    assert blob.data == data


def test_a_pointer_that_cannot_be_written_keeps_nothing_back(tmp_path: Path) -> None:
    """Else what was built is lost because a name for people could not be written."""

    class Away(MemoryStore):
        def put_if_absent(self, path: str, data: bytes) -> str | None:
            raise StoreAwayError("no answer")

    point_to_latest(Away(), f"{URL}/a_00000001", _record("a", "a_00000001"))()
    (tmp_path / "a_00000001").mkdir()
    (tmp_path / ".marin-build").write_text("in the way")
    point_to_latest(MemoryStore(), str(tmp_path / "a_00000001"), _record("a", "a_00000001"))()
    assert (tmp_path / ".marin-build").read_text() == "in the way"
