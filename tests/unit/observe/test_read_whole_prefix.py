"""What gc judges by: an output that is missed, or misread, may lose what it was made from."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from marin_build.errors import StoreError
from marin_build.observe.read_whole_prefix import read_whole_prefix
from marin_build.protocol.tombstone import Tombstone
from marin_build.store.local import LocalStore
from marin_build.store.memory import MemoryStore

if TYPE_CHECKING:
    from pathlib import Path

    from marin_build.plan.reachability import Inventoried
    from marin_build.store.base import Store

LEASE = b'{"worker_id": "ada@h run=r-1 attempt=1 nonce=n", "timestamp": 1.0}'


@pytest.fixture(params=["disk", "bucket"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[Store, str]:
    if request.param == "disk":
        return LocalStore(), str(tmp_path / "out")
    return MemoryStore(), "gs://bucket/out"


def _record(target: str, **facts: Any) -> bytes:
    said = {
        "executor_version": "marin_build/1",
        "target": target,
        "end": "2026",
        "deps": [],
        **facts,
    }
    return json.dumps(said).encode()


def _read(place: tuple[Store, str], files: dict[str, bytes]) -> dict[str, Inventoried]:
    store, prefix = place
    for path, data in files.items():
        store.put(f"{prefix}/{path}", data)
    found = read_whole_prefix(store, prefix, lambda *_: True)
    return {output.path.removeprefix(f"{prefix}/"): output for output in found.outputs}


def test_an_empty_prefix_holds_nothing(place: tuple[Store, str]) -> None:
    assert _read(place, {}) == {}


def test_an_output_is_read_with_its_documents(place: tuple[Store, str]) -> None:
    mark = Tombstone("SUCCESS", "ada", "2026", "g-1")
    found = _read(
        place,
        {
            "a/raw_1a2b3c4d/.executor_status": mark.encode(),
            "a/raw_1a2b3c4d/.executor_info": _record(
                "a/raw_1a2b3c4d", deps=["x_1"], dependencies=["gs://b/x_1"], keep=True
            ),
            "a/raw_1a2b3c4d/data/part": b"12345",
            "other/file": b"",
        },
    )
    (output,) = found.values()
    assert (output.name, output.target) == ("a/raw", "a/raw_1a2b3c4d")
    assert (output.status, output.tombstone) == ("SUCCESS", mark)
    assert (output.needs, output.keep, output.is_ours) == (("x_1", "gs://b/x_1"), True, True)
    assert (output.files, output.damage) == (3, "")


def test_versions_and_hashes_are_told_apart_by_the_record(place: tuple[Store, str]) -> None:
    found = _read(
        place,
        {
            "a/b_1a2b3c4d/.executor_info": _record("a@b_1a2b3c4d"),
            "a/c_1a2b3c4d/.executor_info": _record("a/c_1a2b3c4d"),
            "a/v1/.executor_info": _record("a@v1"),
        },
    )
    assert {path: (it.name, it.target, it.is_ours) for path, it in found.items()} == {
        "a/b_1a2b3c4d": ("a", "a@b_1a2b3c4d", True),
        "a/c_1a2b3c4d": ("a/c", "a/c_1a2b3c4d", True),
        "a/v1": ("a", "a@v1", True),
    }


@pytest.mark.parametrize(
    ("files", "is_ours"),
    [
        ({".executor_info": _record("raw_1a2b3c4d")}, True),
        ({".executor_info": _record("raw_00000000")}, False),  # copied here from elsewhere
        ({".executor_info": b'{"executor_version": "marin"}'}, False),
        ({".executor_info": b"{"}, False),
        ({".logs/attempt-0002.json": b'{"target": "raw_1a2b3c4d", "run": "r-1"}'}, True),
        ({".logs/attempt-0002.json": b'{"target": "raw_1a2b3c4d", "run": "a-1"}'}, False),
        ({".logs/attempt-0002.json": b'{"target": ["x"], "run": {}}'}, False),
        ({".executor_status": b"RUNNING"}, False),
        ({".executor_status": b"RUNNING", ".executor_status.lock": LEASE}, True),
        ({".executor_status": b"SUCCESS", ".executor_status.lock": LEASE}, False),
        ({".executor_status": b"DELETING"}, True),
    ],
)  # fmt: skip
def test_whose_an_output_is(
    place: tuple[Store, str], files: dict[str, bytes], is_ours: bool
) -> None:
    """What nothing proves to be ours may be the only copy of somebody's data."""
    beside = {f"raw_1a2b3c4d/{name}": data for name, data in files.items()}
    found = _read(place, {**beside, "raw_1a2b3c4d/data": b"x"})
    assert found["raw_1a2b3c4d"].is_ours == is_ours


@pytest.mark.parametrize(
    ("name", "data", "damage"),
    [
        (".executor_status", b"?", "its status is not readable"),
        (".executor_status", b"TOMBSTONE []", "its status is not readable"),
        (".executor_status.lock", b"?", "its lease is not readable"),
        (".executor_info", b"[" * 99999, "its record is not readable"),
        (".executor_info", _record("raw_1a2b3c4d", deps=[{}]), "its record is not readable"),
        (".executor_info", _record("raw_1a2b3c4d", adopted_from=7), "its record is not readable"),
    ],
)
def test_a_damaged_document_is_said(
    place: tuple[Store, str], name: str, data: bytes, damage: str
) -> None:
    files = {".executor_status": b"SUCCESS", ".executor_info": _record("raw_1a2b3c4d"), name: data}
    found = _read(place, {f"raw_1a2b3c4d/{key}": value for key, value in files.items()})
    assert found["raw_1a2b3c4d"].damage == damage


def test_without_a_status_an_output_is_not_judged(place: tuple[Store, str]) -> None:
    found = _read(place, {"raw_1a2b3c4d/.executor_info": _record("raw_1a2b3c4d")})
    assert found["raw_1a2b3c4d"].damage == "its status is gone"


def test_an_output_inside_another_is_found_and_the_outer_one_knows(
    place: tuple[Store, str],
) -> None:
    found = _read(place, {f"{path}/.executor_status": b"SUCCESS" for path in ("a", "a/x/y", "b")})
    assert {path: it.holds_others for path, it in found.items()} == {
        "a": True, "a/x/y": False, "b": False,
    }  # fmt: skip
    assert found["a"].files == 1, "sizes are not counted twice"


def test_files_of_ours_under_the_prefix_are_no_outputs(place: tuple[Store, str]) -> None:
    store, prefix = place
    own = ".marin-build/x_1a2b3c4d/.executor_status"
    assert _read(place, {own: b"SUCCESS", f"team/{own}": b"SUCCESS"}) == {}
    store.put(f"{prefix}/.marin-build/trash/g-1/data", b"12345")
    found = read_whole_prefix(store, prefix, lambda *_: True)
    is_local = prefix.startswith("/")  # in a bucket nothing is moved there
    assert found.trash == ({f"{prefix}/.marin-build/trash/g-1": 5} if is_local else {})


def test_links_are_not_followed(tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / ".executor_status").write_text("SUCCESS")
    out = tmp_path / "out"
    (out / "a").mkdir(parents=True)
    (out / "raw_1a2b3c4d").symlink_to(elsewhere)
    (out / "a" / "raw_1a2b3c4d").symlink_to(elsewhere)
    assert _read((LocalStore(), str(out)), {}) == {}


def test_what_cannot_be_listed_ends_the_reading(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else what lies there would count as not there, and what it needs as not needed."""
    (tmp_path / "out" / "a").mkdir(parents=True)
    store = LocalStore()

    def refuse(folder: str) -> Any:
        raise StoreError(f"cannot list `{folder}`")

    monkeypatch.setattr(store, "files", refuse)
    with pytest.raises(StoreError):
        read_whole_prefix(store, str(tmp_path / "out"), lambda *_: True)
