"""What counts as having built a step: only what is there, whole and declared."""

from __future__ import annotations

import hashlib
import json
import os
from contextlib import nullcontext
from typing import TYPE_CHECKING

import pytest

from marin_build.errors import StoppedError
from marin_build.protocol.manifest import manifest_of, missing_output
from marin_build.run_step.output_folder import (
    clear_leftovers,
    digests_of,
    refuse_to_clear_adopted,
    set_read_only,
    was_adopted_here,
)
from marin_build.store.base import File
from marin_build.store.local import LocalStore

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.unit.conftest import MemoryStore

URL = "gs://bucket/train_1"


def _held() -> bool:
    return True


def _write(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("new")


def _attempt(adopted: str | None) -> bytes:
    who = {"user": "ada", "host": "h"}
    record = {"fingerprint": "f", "run": "r", "end": "", "provenance": who, "adopted_from": adopted}
    publish = {"record": record, "manifest": [], "has_artifact": False}
    document = {"result": "succeeded", "run": "r", "worker": "ada@h", "publish": publish}
    return json.dumps(document).encode()


ADOPTING, BUILDING = _attempt("/o"), _attempt(None)


@pytest.mark.parametrize(
    ("record", "attempts", "adopted"),
    [
        (None, [ADOPTING], False),  # whoever deleted the record wants it built
        (b'{"executor_version": "marin_build/1", "adopted_from": "/o"}', [], True),
        (b'{"executor_version": "marin_build/1", "adopted_from": "/p"}', [ADOPTING], False),
        (b"{", [], False),
        (b"{", [BUILDING], False),
        (b"{", [BUILDING, ADOPTING], True),
        (b"{", [b"{"], True),
        (b"", [b""], False),
        (b"", [b"", ADOPTING], True),
        (b"{", [b"[]"], True),
    ],
)
def test_adopted_data_is_not_cleared_for_a_damaged_record(
    new_store: Callable[[], MemoryStore], record: bytes | None, attempts: list[bytes], adopted: bool
) -> None:
    """Else --force deletes the only copy of what somebody registered where it lies."""
    store = new_store()
    if record is not None:
        store.put("/o/.executor_info", record)
    for number, attempt in enumerate(attempts, 1):
        store.put(f"/o/.logs/attempt-{number:04}.json", attempt)
    assert was_adopted_here(store, "/o") is adopted
    with pytest.raises(StoppedError) if adopted else nullcontext():
        refuse_to_clear_adopted(store, "/o")


@pytest.mark.parametrize(
    ("write", "outputs", "missing"),
    [
        (["model"], ["model"], None),
        (["model/w"], ["model"], None),
        (["model/w"], ["model/"], None),
        (["model/deep/er/w"], ["model"], None),
        ([], [], None),
        (["a"], None, None),
        ([], None, "neither a file nor an artifact"),
        (["a"], ["b"], "`b`"),
        (["ab"], ["a"], "`a`"),
        (["a"], ["a", "b", "c"], "`b`, `c`"),
        ([], ["a", "b", "c", "d", "e", "f", "g"], "`e` and 2 more"),
    ],
)
def test_what_is_declared_must_be_there(
    tmp_path: Path, write: list[str], outputs: list[str] | None, missing: str | None
) -> None:
    _write(tmp_path, *write)
    found = missing_output(outputs, manifest_of(LocalStore(), str(tmp_path)), None)
    assert (found is None) == (missing is None)
    assert (missing or "") in (found or "")


def test_an_artifact_is_enough_where_nothing_is_declared() -> None:
    assert missing_output(None, [], {"loss": 1}) is None
    assert missing_output(None, [], 0) is None
    assert missing_output(["a"], [], {"loss": 1}) is not None


def test_an_empty_file_or_folder_is_not_there(tmp_path: Path) -> None:
    (tmp_path / "empty").touch()
    (tmp_path / "folder").mkdir()
    (tmp_path / "nowhere").symlink_to("gone")
    files = manifest_of(LocalStore(), str(tmp_path))
    for name in ("empty", "folder", "nowhere"):
        assert missing_output([name], files, None) is not None


def test_our_own_files_are_not_in_the_manifest(tmp_path: Path) -> None:
    _write(tmp_path, ".executor_status", ".logs/attempt-0001.log", "a", "b/.hidden")
    assert manifest_of(LocalStore(), str(tmp_path)) == [File("a", 3), File("b/.hidden", 3)]


def test_leftovers_are_cleared_and_what_tells_of_attempts_is_kept(tmp_path: Path) -> None:
    _write(tmp_path, "a", "b/c", ".executor_info", ".artifact.json", ".tmp/x",
           ".executor_status", ".executor_status.lock", ".logs/attempt-0001.json")  # fmt: skip
    assert clear_leftovers(LocalStore(), str(tmp_path), is_held=_held)
    names = sorted(path.name for path in tmp_path.iterdir())
    # Record and artifact are replaced by the commit, and only by it.
    assert names == [
        ".artifact.json",
        ".executor_info",
        ".executor_status",
        ".executor_status.lock",
        ".logs",
    ]
    assert (tmp_path / ".logs/attempt-0001.json").exists()


def test_links_are_removed_and_what_they_point_to_is_not(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "a").touch()
    (tmp_path / "output").mkdir()
    (tmp_path / "output" / "link").symlink_to(tmp_path / "data")
    (tmp_path / "output" / "nowhere").symlink_to("gone")
    clear_leftovers(LocalStore(), str(tmp_path / "output"), is_held=_held)
    assert list((tmp_path / "output").iterdir()) == []
    assert (tmp_path / "data" / "a").exists()


OURS = {
    f"{URL}/{name}"
    for name in (".executor_status", ".executor_status.lock", ".logs/1.json", ".executor_info")
}


def _remote(new_store: Callable[[], MemoryStore]) -> MemoryStore:
    store = new_store()
    for path in (*OURS, f"{URL}/a", f"{URL}/b/c", f"{URL}x/other"):
        store.put(path, b"x")
    return store


def test_a_remote_output_is_cleared_in_the_same_way(new_store: Callable[[], MemoryStore]) -> None:
    store = _remote(new_store)
    assert clear_leftovers(store, URL, is_held=_held)
    assert set(store.contents) == {*OURS, f"{URL}x/other"}


def test_what_was_listed_is_not_deleted_if_the_listing_took_too_long(
    new_store: Callable[[], MemoryStore],
) -> None:
    """By then another may have built it: these may be the files he made."""
    store = _remote(new_store)
    before = dict(store.contents)
    assert not clear_leftovers(store, URL, is_held=lambda: False)
    assert store.contents == before


def test_a_folder_is_listed_and_cleared_however_deep_it_is(tmp_path: Path) -> None:
    """Else a step that leaves one ends in an error of ours, and every later attempt, too."""
    output, inner = tmp_path / "o", "d/" * 1600
    output.mkdir()
    os.makedirs(output / "deep")
    here = os.open(output / "deep", os.O_RDONLY)
    for _ in range(1600):
        os.mkdir("d", dir_fd=here)
        below = os.open("d", os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = below
    os.close(os.open("x", os.O_CREAT | os.O_WRONLY, dir_fd=here))
    os.close(here)
    assert manifest_of(LocalStore(), str(output)) == [File(f"deep/{inner}x", 0)]
    assert clear_leftovers(LocalStore(), str(output), is_held=lambda: True)
    assert not (output / "deep").exists()


def test_what_is_protected_cannot_be_written_and_can_be_cleared(tmp_path: Path) -> None:
    """Else a step changes the data of another; or a taint can never be built again."""
    _write(tmp_path, "a", "d/e/b", ".executor_status", "other/.executor_status", "other/x")
    (tmp_path / "link").symlink_to(tmp_path / "other" / "x")
    (tmp_path / "d" / "e" / "b").chmod(0o755)
    set_read_only(str(tmp_path), is_read_only=True)
    names = ("a", "d", "d/e", "d/e/b", ".executor_status", "other", "other/x", ".")
    modes = [(tmp_path / name).stat().st_mode & 0o222 for name in names]
    assert [bool(mode) for mode in modes] == [False] * 4 + [True] * 4
    assert (tmp_path / "d" / "e" / "b").stat().st_mode & 0o777 == 0o555, "it can still be run"
    set_read_only(str(tmp_path), is_read_only=True)
    assert clear_leftovers(LocalStore(), str(tmp_path), is_held=_held)
    assert [path.name for path in tmp_path.iterdir()] == [".executor_status"]


def test_digests_of_files(tmp_path: Path) -> None:
    _write(tmp_path, "a", "d/b")
    os.mkfifo(tmp_path / "pipe")
    found = digests_of(str(tmp_path), [File("a", 3), File("d/b", 3), File("pipe", 0)])
    assert found == dict.fromkeys(["a", "d/b"], hashlib.sha256(b"new").hexdigest())
