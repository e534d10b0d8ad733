"""The local disk as a store: conditional writes that hold between processes, or leases do not."""

from __future__ import annotations

import multiprocessing
import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from marin_build.errors import StoreError
from marin_build.store.local import LocalStore

if TYPE_CHECKING:
    from collections.abc import Callable


def test_what_was_written_is_read(tmp_path: Path) -> None:
    store, path = LocalStore(), str(tmp_path / "deep" / "er" / "a")
    assert store.get(path) is None
    version = store.put(path, b"one")
    blob = store.get(path)
    assert blob is not None
    assert (blob.data, blob.version) == (b"one", version)
    assert store.put(path, b"two") != version
    assert store.get_many([path, path + "x", path]) == [b"two", None, b"two"]


@pytest.mark.parametrize("size", [0, 1, (1 << 16) - 1, 1 << 16, (1 << 16) + 1, 3 << 16])
def test_files_of_any_size_are_read_whole(tmp_path: Path, size: int) -> None:
    store, path, data = LocalStore(), str(tmp_path / "a"), os.urandom(size)
    store.put(path, data)
    assert store.get_many([path]) == [data]


def test_conditional_writes_do_nothing_when_their_condition_does_not_hold(tmp_path: Path) -> None:
    store, path = LocalStore(), str(tmp_path / "a")
    version = store.put_if_absent(path, b"one")
    assert version is not None
    assert store.put_if_absent(path, b"two") is None
    assert store.replace_if(path, b"two", "another") is None
    assert not store.delete_if(path, "another")
    assert store.get_many([path]) == [b"one"]
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
        "get": lambda: store.get(str(folder)),
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


@given(st.binary(max_size=10), st.binary(max_size=10))
def test_a_version_tells_contents_apart(one: bytes, other: bytes) -> None:
    from marin_build.store.local import _version

    assert (_version(one) == _version(other)) == (one == other)


class LikeADictionary(RuleBasedStateMachine):
    """Any sequence of calls, compared with a dictionary."""

    def __init__(self) -> None:
        super().__init__()
        import tempfile

        self._folder = tempfile.TemporaryDirectory()
        self._store, self._files = LocalStore(), dict[str, bytes]()

    names = st.sampled_from(["a", "b/c"])
    data = st.sampled_from([b"", b"x", b"y"])

    def _path(self, name: str) -> str:
        return f"{self._folder.name}/{name}"

    @rule(name=names, data=data)
    def put(self, name: str, data: bytes) -> None:
        self._store.put(self._path(name), data)
        self._files[name] = data

    @rule(name=names, data=data)
    def create(self, name: str, data: bytes) -> None:
        done = self._store.put_if_absent(self._path(name), data)
        assert (done is None) == (name in self._files)
        self._files.setdefault(name, data)

    @rule(name=names, data=data, expected=data)
    def replace(self, name: str, data: bytes, expected: bytes) -> None:
        version = self._store.put(f"{self._folder.name}/other", expected)
        done = self._store.replace_if(self._path(name), data, version)
        assert (done is not None) == (self._files.get(name) == expected)
        if done is not None:
            self._files[name] = data

    @rule(name=names, expected=data)
    def delete(self, name: str, expected: bytes) -> None:
        version = self._store.put(f"{self._folder.name}/other", expected)
        done = self._store.delete_if(self._path(name), version)
        assert done == (self._files.get(name) == expected)
        if done:
            del self._files[name]

    @invariant()
    def same(self) -> None:
        paths = [self._path(name) for name in ("a", "b/c")]
        assert self._store.get_many(paths) == [self._files.get("a"), self._files.get("b/c")]

    def teardown(self) -> None:
        self._folder.cleanup()


TestLikeADictionary = LikeADictionary.TestCase
TestLikeADictionary.settings = settings(max_examples=40, stateful_step_count=20)
