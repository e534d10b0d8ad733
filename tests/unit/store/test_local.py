"""The local disk as a store: conditional writes that hold between processes, or leases do not."""

from __future__ import annotations

import fcntl
import multiprocessing
import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from marin_build.errors import StoreError
from marin_build.store import folder_lock
from marin_build.store.base import File
from marin_build.store.local import LocalStore

if TYPE_CHECKING:
    from collections.abc import Callable


def _contents(store: LocalStore, *paths: str) -> list[bytes | None]:
    return [None if blob is None else blob.data for blob in store.get_many(paths)]


def test_what_was_written_is_read(tmp_path: Path) -> None:
    store, path = LocalStore(), str(tmp_path / "deep" / "er" / "a")
    assert store.get(path) is None
    version = store.put(path, b"one")
    blob = store.get(path)
    assert blob is not None
    assert (blob.data, blob.version) == (b"one", version)
    assert store.put(path, b"two") != version
    assert _contents(store, path, path + "x", path) == [b"two", None, b"two"]


@pytest.mark.parametrize("size", [0, 1, (1 << 16) - 1, 1 << 16, (1 << 16) + 1, 3 << 16])
def test_files_of_any_size_are_read_whole(tmp_path: Path, size: int) -> None:
    store, path, data = LocalStore(), str(tmp_path / "a"), os.urandom(size)
    store.put(path, data)
    assert _contents(store, path) == [data]


def test_conditional_writes_do_nothing_when_their_condition_does_not_hold(tmp_path: Path) -> None:
    store, path = LocalStore(), str(tmp_path / "a")
    version = store.put_if_absent(path, b"one")
    assert version is not None
    assert store.put_if_absent(path, b"two") is None
    assert store.replace_if(path, b"two", "another") is None
    assert not store.delete_if(path, "another")
    assert _contents(store, path) == [b"one"]
    second = store.replace_if(path, b"two", version)
    assert second is not None
    assert store.replace_if(path, b"three", version) is None
    assert store.delete_if(path, second)
    assert store.get(path) is None


@pytest.mark.parametrize("path", ["nowhere/a", "a"])
def test_a_missing_object_is_no_error(tmp_path: Path, path: str) -> None:
    store = LocalStore()
    missing = str(tmp_path / path)
    assert store.get(missing) is None
    assert store.get_many([missing]) == [None]
    assert store.replace_if(missing, b"x", "v") is None
    assert not store.delete_if(missing, "v")
    assert store.list(missing) == []


def test_asking_about_what_is_not_there_leaves_no_folders(tmp_path: Path) -> None:
    store = LocalStore()
    store.delete_if(str(tmp_path / "no" / "a"), "v")
    store.replace_if(str(tmp_path / "no" / "a"), b"", "v")
    assert list(tmp_path.iterdir()) == []


def test_a_path_below_a_file_is_missing(tmp_path: Path) -> None:
    store = LocalStore()
    store.put(str(tmp_path / "a"), b"")
    assert store.get(str(tmp_path / "a" / "b")) is None
    assert store.list(str(tmp_path / "a")) == []


def test_names_are_listed_in_order(tmp_path: Path) -> None:
    store = LocalStore()
    for name in ("b", "a", "10", "9"):
        store.put(str(tmp_path / name), b"")
    assert store.list(str(tmp_path)) == ["10", "9", "a", "b"]


@pytest.mark.parametrize("verb", ["get", "put", "put_if_absent", "list"])
def test_a_disk_that_refuses_is_an_error_that_names_the_path(tmp_path: Path, verb: str) -> None:
    file = tmp_path / "file"
    file.touch()
    folder = tmp_path / "folder"
    folder.mkdir()
    store = LocalStore()
    calls: dict[str, Callable[[], object]] = {
        "get": lambda: store.get(f"{tmp_path}/{'x' * 300}"),
        "put": lambda: store.put(str(folder), b""),
        "put_if_absent": lambda: store.put_if_absent(f"{file}/x", b""),
        "list": lambda: store.list(f"{tmp_path}/{'x' * 300}"),
    }
    with pytest.raises(StoreError, match=str(tmp_path)):
        calls[verb]()


def test_nothing_is_left_over_after_a_refused_write(tmp_path: Path) -> None:
    store = LocalStore()
    (tmp_path / "folder").mkdir()
    with pytest.raises(StoreError):
        store.put(str(tmp_path / "folder"), b"data")
    store.put(str(tmp_path / "a"), b"")
    store.put_if_absent(str(tmp_path / "a"), b"")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "folder"]


def test_readers_see_the_old_bytes_or_the_new(tmp_path: Path) -> None:
    """Whoever opened the file before keeps reading what it was."""
    store, path = LocalStore(), str(tmp_path / "a")
    store.put(path, b"old")
    with open(path, "rb") as reader:
        store.put(path, b"new")
        assert reader.read() == b"old"
    assert Path(path).read_bytes() == b"new"


WORKERS, ROUNDS = 8, 50


def _count_up(path: str, start: object) -> None:
    """Add to a counter the way a lease is replaced."""
    store = LocalStore()
    start.wait()  # type: ignore[attr-defined]
    for _ in range(ROUNDS):
        while True:
            blob = store.get(path)
            assert blob is not None
            if store.replace_if(path, str(int(blob.data) + 1).encode(), blob.version):
                break


def _create_and_delete(folder: str, start: object) -> None:
    """Win some of the races for each name, and give every other one back."""
    store = LocalStore()
    start.wait()  # type: ignore[attr-defined]
    for number in range(ROUNDS):
        version = store.put_if_absent(f"{folder}/{number}", f"{os.getpid()}".encode())
        if version:
            store.put(f"{folder}-won/{number}.{os.getpid()}", b"")


def _race(work: object, path: str) -> None:
    context = multiprocessing.get_context("fork")
    start = context.Barrier(WORKERS)
    workers = [context.Process(target=work, args=(path, start)) for _ in range(WORKERS)]  # type: ignore[arg-type]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert [worker.exitcode for worker in workers] == [0] * WORKERS


def test_no_replacement_is_lost_between_processes(tmp_path: Path) -> None:
    path = str(tmp_path / "counter")
    LocalStore().put(path, b"0")
    _race(_count_up, path)
    assert Path(path).read_bytes() == str(WORKERS * ROUNDS).encode()


def test_a_name_is_created_by_one_process_only(tmp_path: Path) -> None:
    _race(_create_and_delete, str(tmp_path / "names"))
    won = sorted(name.partition(".")[0] for name in os.listdir(tmp_path / "names-won"))
    assert won == sorted(map(str, range(ROUNDS)))


def test_a_version_is_another_one_after_every_write_even_of_equal_bytes(tmp_path: Path) -> None:
    """Else who sleeps takes a lease that was deleted and taken again for the one he saw."""
    store, path = LocalStore(), str(tmp_path / "a")
    versions = [store.put(path, b"same") for _ in range(300)]
    for _ in range(300):
        version = store.replace_if(path, b"same", versions[-1])
        assert version is not None
        assert store.delete_if(path, version)
        again = store.put_if_absent(path, b"same")
        assert again is not None
        versions += [version, again]
    assert len(set(versions)) == len(versions)


def test_a_version_does_not_rely_on_the_clock_of_the_kernel(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before Linux 6.13 a file's time moves every 4 to 10 ms; its number is given away at once."""
    moments = iter(range(10**18, 10**18 + 1000))
    monkeypatch.setattr("marin_build.store.temporary_file.time.time_ns", lambda: next(moments))
    store, path = LocalStore(), str(tmp_path / "a")
    store.put(path, b"x")
    first = os.stat(path).st_mtime_ns
    store.put(path, b"x")
    assert (first, os.stat(path).st_mtime_ns) == (10**18, 10**18 + 1)


def test_the_version_that_is_read_is_the_one_that_was_written(tmp_path: Path) -> None:
    store, path = LocalStore(), str(tmp_path / "a")

    def read() -> str:
        blob = store.get(path)
        assert blob is not None
        return blob.version

    assert store.put_if_absent(path, b"x") == read()
    assert store.put(path, b"x") == read()
    assert store.replace_if(path, b"x", read()) == read()


def test_every_file_below_a_folder_is_told_with_its_size(tmp_path: Path) -> None:
    store = LocalStore()
    for name, data in (("b", b"12"), ("a/c", b"1"), ("a/b/d", b""), (".x", b"123")):
        store.put(str(tmp_path / name), data)
    (tmp_path / "empty").mkdir()
    (tmp_path / "nowhere").symlink_to("gone")
    (tmp_path / "link").symlink_to("b")
    os.mkfifo(tmp_path / "pipe")
    assert list(store.files(str(tmp_path))) == [
        File(".x", 3), File("a/b/d", 0), File("a/c", 1), File("b", 2), File("link", 2),
        File("nowhere", 0), File("pipe", 0),
    ]  # fmt: skip
    assert list(store.files(str(tmp_path / "no"))) == []
    assert list(store.files(str(tmp_path / "b"))) == []


def test_files_are_deleted_and_what_is_not_there_is_no_error(tmp_path: Path) -> None:
    store = LocalStore()
    paths = [str(tmp_path / name) for name in ("a", "no/where", "b")]
    for path in (paths[0], paths[2]):
        store.put(path, b"")
    store.delete(paths)
    assert list(tmp_path.iterdir()) == []


class LikeADictionary(RuleBasedStateMachine):
    """Any sequence of calls, compared with a dictionary."""

    def __init__(self) -> None:
        super().__init__()
        import tempfile

        self._folder = tempfile.TemporaryDirectory()
        self._store, self._files = LocalStore(), dict[str, bytes]()
        self._writes = {"a": 0, "b/c": 0}
        self._seen = {"a": ("none", 0), "b/c": ("none", 0)}

    names = st.sampled_from(["a", "b/c"])
    data = st.sampled_from([b"", b"x", b"y"])

    def _path(self, name: str) -> str:
        return f"{self._folder.name}/{name}"

    def _write(self, name: str, data: bytes) -> None:
        self._files[name] = data
        self._writes[name] += 1

    @rule(name=names, data=data)
    def put(self, name: str, data: bytes) -> None:
        self._store.put(self._path(name), data)
        self._write(name, data)

    @rule(name=names, data=data)
    def create(self, name: str, data: bytes) -> None:
        done = self._store.put_if_absent(self._path(name), data)
        assert (done is None) == (name in self._files)
        if done is not None:
            self._write(name, data)

    @rule(name=names)
    def remember(self, name: str) -> None:
        blob = self._store.get(self._path(name))
        self._seen[name] = (blob.version if blob else "none", self._writes[name])

    @rule(name=names, data=data)
    def replace(self, name: str, data: bytes) -> None:
        version, writes = self._seen[name]
        done = self._store.replace_if(self._path(name), data, version)
        unchanged = name in self._files and writes == self._writes[name]
        assert (done is not None) == unchanged
        if done is not None:
            self._write(name, data)

    @rule(name=names)
    def delete(self, name: str) -> None:
        version, writes = self._seen[name]
        done = self._store.delete_if(self._path(name), version)
        assert done == (name in self._files and writes == self._writes[name])
        if done:
            del self._files[name]

    @invariant()
    def same(self) -> None:
        paths = [self._path(name) for name in ("a", "b/c")]
        assert _contents(self._store, *paths) == [self._files.get("a"), self._files.get("b/c")]

    def teardown(self) -> None:
        self._folder.cleanup()


TestLikeADictionary = LikeADictionary.TestCase
TestLikeADictionary.settings = settings(max_examples=40, stateful_step_count=20)


def test_who_holds_a_lock_and_does_not_go_on_is_reported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else a frozen process freezes everybody else, silently."""
    monkeypatch.setattr(folder_lock, "LOCK_PATIENCE", 0.01)
    folder = os.open(tmp_path, os.O_RDONLY)
    try:
        fcntl.flock(folder, fcntl.LOCK_EX)
        with pytest.raises(StoreError, match="does not go on"):
            LocalStore().put_if_absent(str(tmp_path / "a"), b"one")
    finally:
        os.close(folder)
    assert LocalStore().put_if_absent(str(tmp_path / "a"), b"one") is not None
