"""What the seam promises, of every store."""

from __future__ import annotations

import json
import os
import warnings
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import TYPE_CHECKING, TypeVar

import pytest

from marin_build.errors import StoreError
from marin_build.store.base import Blob, File

if TYPE_CHECKING:
    from collections.abc import Callable

    from .conftest import Place

T = TypeVar("T")

THREADS = 16
ODD_NAMES = (
    "with space", "per%cent", "per%2Fcent", "ha#sh", "ha#1234", "quest?ion", "q?versionId=1",
    "plus+plus", "a&b=c", "ünï-çødé", "日本語", "semi;colon", "co:lon", "(par)[br]{cu}", "quo'te\"",
    "tilde~", "at@sign", "dollar$", "star*", "comma,", "a..b", ".hidden", "back`tick", "pipe|",
)  # fmt: skip


def at_once(work: Callable[[int], T], threads: int = THREADS) -> list[T]:
    """Return what `work` returns in each of so many threads that start together."""
    barrier = Barrier(threads)

    def run(index: int) -> T:
        barrier.wait()
        return work(index)

    with ThreadPoolExecutor(threads) as pool:
        return list(pool.map(run, range(threads)))


def test_what_is_written_is_read(place: Place) -> None:
    path = place.path("a/b")
    version = place.store.put(path, b"one")
    assert place.store.get(path) == Blob(b"one", version)
    version = place.store.put(path, b"two")
    assert place.store.get(path) == Blob(b"two", version)


def test_what_is_not_there_is_none(place: Place) -> None:
    assert place.store.get(place.path("a")) is None
    assert place.store.get_many([place.path("a"), place.path("b/c")]) == [None, None]
    assert place.store.get_many([]) == []
    place.store.put(place.path("a"), b"")
    assert place.store.get(place.path("a/b")) is None, "below a file there is nothing"


def test_a_bucket_that_is_not_there_is_an_error_of_every_request(remote: Place) -> None:
    """Else a slip in the prefix shows all targets as never built, with exit code 0."""
    nowhere = remote.folder.split("/")
    nowhere[2] = "not-there"
    folder = "/".join(nowhere)
    requests: list[Callable[[], object]] = [
        lambda: remote.store.get(f"{folder}/a"),
        lambda: remote.store.get_many([f"{folder}/a", f"{folder}/b"]),
        lambda: remote.store.list(folder),
        lambda: remote.store.files(folder),
        lambda: remote.store.folders(f"{folder}/a"),
        lambda: remote.store.put(f"{folder}/a", b""),
        lambda: remote.store.put_if_absent(f"{folder}/a", b""),
    ]
    for request in requests:
        with pytest.raises(StoreError, match="there is no bucket `not-there`"):
            request()


# The client of Azure hands aiohttp its bodies in one piece; aiohttp would like a stream.
@pytest.mark.filterwarnings("ignore:Sending a large body:ResourceWarning")
@pytest.mark.parametrize("size", [0, 1, 65_536, 5_000_001])
def test_bytes_of_any_size_and_kind(place: Place, size: int) -> None:
    data = (bytes(range(256)) + b"\r\n--==0==--\n")[: max(size, 1)] * (size // 256 + 1)
    data = data[:size]
    version = place.store.put(place.path("big"), data)
    assert place.store.get(place.path("big")) == Blob(data, version)
    assert place.store.files(place.folder) == [File("big", size)]


# As above.
@pytest.mark.filterwarnings("ignore:Sending a large body:ResourceWarning")
@pytest.mark.parametrize("size", [0, 1, 1 << 20, (1 << 20) + 1, 2 << 20])
def test_a_document_is_read_up_to_its_bound(place: Place, size: int) -> None:
    """Else a status of a terabyte takes all memory of each plan under that prefix."""
    path = place.path("out/.executor_status")
    version = place.store.put(path, b"x" * size)
    (found, one) = (*place.store.get_many([path]), place.store.get(path))
    assert found == one
    assert found is not None
    assert found.version == version
    if size <= 1 << 20:
        assert found.data == b"x" * size
    else:
        assert found.data == b"<%d bytes or more, 1048576 are the most>" % found_size(found.data)


def found_size(said: bytes) -> int:
    """Return the size that is said; a store that reads a part knows no more than that."""
    size = int(said[1:].partition(b" ")[0])
    assert size > 1 << 20
    return size


def test_names_are_taken_to_the_letter(place: Place) -> None:
    for name in ODD_NAMES:
        place.store.put(place.path(f"x/{name}"), name.encode())
    paths = [place.path(f"x/{name}") for name in ODD_NAMES]
    read = place.store.get_many(paths)
    assert [blob.data.decode() for blob in read if blob] == list(ODD_NAMES)
    assert place.store.list(place.path("x")) == sorted(ODD_NAMES)
    assert [file.path for file in place.store.files(place.path("x"))] == sorted(ODD_NAMES)
    place.store.delete(paths)
    assert place.store.files(place.path("x")) == []


def test_a_folder_may_have_an_odd_name(place: Place) -> None:
    for folder in ("a b", "100%", "x#y", "é?"):
        place.store.put(place.path(f"{folder}/in/file"), b"")
        place.store.put(place.path(f"{folder}2/file"), b"")
        assert place.store.files(place.path(folder)) == [File("in/file", 0)]
        assert place.store.list(place.path(f"{folder}/in")) == ["file"]


def test_a_version_changes_with_every_write(place: Place) -> None:
    path = place.path("a")
    written = [place.store.put(path, str(number).encode()) for number in range(5)]
    for number in range(5, 10):
        replaced = place.store.replace_if(path, str(number).encode(), written[-1])
        assert replaced is not None
        written.append(replaced)
    assert len(set(written)) == len(written)


def test_a_version_changes_even_if_the_bytes_do_not(place: Place) -> None:
    """Not in S3, where an etag is a digest of the bytes: the store's docstring says so."""
    first, second = (place.store.put(place.path("a"), b"same") for _ in range(2))
    assert (first == second) == (place.kind == "s3")


def test_put_if_absent(place: Place) -> None:
    path = place.path("deep/er/a")
    version = place.store.put_if_absent(path, b"one")
    assert version is not None
    assert place.store.put_if_absent(path, b"two") is None
    assert place.store.get(path) == Blob(b"one", version)
    place.store.delete([path])
    assert place.store.put_if_absent(path, b"three") is not None


def test_replace_if(place: Place) -> None:
    path = place.path("a")
    first = place.store.put(path, b"one")
    second = place.store.replace_if(path, b"two", first)
    assert second is not None
    assert place.store.replace_if(path, b"three", first) is None, "a stale version"
    assert place.store.get(path) == Blob(b"two", second)
    place.store.delete([path])
    assert place.store.replace_if(path, b"three", second) is None, "nothing is there"
    assert place.store.replace_if(place.path("never"), b"three", second) is None
    assert place.store.get(path) is None


def test_the_version_that_was_read_is_the_one_to_replace(place: Place) -> None:
    path = place.path("a")
    place.store.put(path, b"one")
    for blob in (place.store.get(path), *place.store.get_many([path])):
        assert blob is not None
        assert place.store.replace_if(path, blob.data, blob.version) is not None or (
            place.kind != "s3"  # there the same bytes are the same version
        )
    read = place.store.get(path)
    assert read is not None
    assert place.store.delete_if(path, read.version)


def test_delete_if(place: Place) -> None:
    path = place.path("a")
    first = place.store.put(path, b"one")
    second = place.store.put(path, b"two")
    assert not place.store.delete_if(path, first), "a stale version"
    assert place.store.get(path) == Blob(b"two", second)
    assert place.store.delete_if(path, second)
    assert not place.store.delete_if(path, second), "nothing is there"
    assert place.store.get(path) is None
    assert not place.store.delete_if(place.path("never"), second)


def test_of_many_creators_one_wins(place: Place) -> None:
    for number in range(5):
        path = place.path(f"lock-{number}")

        def create(index: int, path: str = path) -> str | None:
            return place.store.put_if_absent(path, b"%d" % index)

        won = at_once(create)
        winners = [(index, version) for index, version in enumerate(won) if version is not None]
        assert len(winners) == 1
        (winner, version), *_ = winners
        assert place.store.get(path) == Blob(b"%d" % winner, version)


def test_of_many_deleters_one_wins(place: Place) -> None:
    for number in range(3):
        path = place.path(f"lock-{number}")
        version = place.store.put(path, b"x")

        def delete(_: int, path: str = path, version: str = version) -> bool:
            return place.store.delete_if(path, version)

        assert at_once(delete).count(True) == 1


def test_compare_and_swap_loses_no_increment(place: Place) -> None:
    path, threads, each = place.path("counter"), 8, 5
    place.store.put(path, b"0")

    def count_up(_: int) -> None:
        done = 0
        while done < each:
            blob = place.store.get(path)
            assert blob is not None
            new = b"%d" % (int(blob.data) + 1)
            done += place.store.replace_if(path, new, blob.version) is not None

    at_once(count_up, threads)
    counted = place.store.get(path)
    assert counted is not None
    assert int(counted.data) == threads * each


def test_many_are_read_in_the_order_asked_for(place: Place) -> None:
    names = [f"f/{number}" for number in range(150)]
    versions = {n: place.store.put(place.path(n), n.encode()) for n in names if n[-1] != "7"}
    asked = [*reversed(names), names[3], names[7], names[3]]
    expected = [Blob(n.encode(), versions[n]) if n in versions else None for n in asked]
    assert place.store.get_many([place.path(name) for name in asked]) == expected


def test_lists_name_the_files_of_a_folder(place: Place) -> None:
    for name in ("b", "a", "c/d", "c/e/f", "cc", "B"):
        place.store.put(place.path(f"x/{name}"), name.encode() * 2)
    place.store.put(place.path("xx/a"), b"")
    folder = place.path("x")
    assert place.store.list(folder) == ["B", "a", "b", "cc"]
    assert place.store.list(folder + "/c") == ["d"]
    expected = [("B", 2), ("a", 2), ("b", 2), ("c/d", 6), ("c/e/f", 10), ("cc", 4)]
    assert place.store.files(folder) == [File(*file) for file in expected]
    for nothing in (place.path("none"), place.path("x/c/e/f"), place.path("x/a/b")):
        assert place.store.list(nothing) == []
        assert place.store.files(nothing) == []


def test_folders_are_found_by_how_they_begin(place: Place) -> None:
    for name in ("tok_1/a", "tok_2/b/c", "tok/x", "tokens", "other/a", "deep/tok_3/a"):
        place.store.put(place.path(name), b"")
    folders = {name: place.path(name) for name in ("tok", "tok_1", "tok_2", "other", "deep/tok_3")}
    assert list(place.store.folders(place.path("tok_"))) == [folders["tok_1"], folders["tok_2"]]
    assert list(place.store.folders(place.path("deep/tok_"))) == [folders["deep/tok_3"]]
    found = list(place.store.folders(place.folder + "/"))
    assert found == sorted([place.path("deep"), *(folders[n] for n in folders if "/" not in n)])
    assert list(place.store.folders(place.path("none/"))) == []
    assert list(place.store.folders(place.path("tok_1/a"))) == []


@pytest.mark.parametrize("size", [1, 4])
def test_lists_have_pages(remote: Place, size: int, monkeypatch: pytest.MonkeyPatch) -> None:
    module = type(remote.store).__module__
    names = sorted([f"{number:02}" for number in range(9)] + [f"sub/{n}" for n in range(4)])
    for name in names:
        remote.store.put(remote.path(name), b"")
    monkeypatch.setattr(f"{module}._PAGE", size)
    assert [file.path for file in remote.store.files(remote.folder)] == names
    assert remote.store.list(remote.folder) == [name for name in names if "/" not in name]


def test_deleting_does_not_mind_what_is_gone(place: Place) -> None:
    paths = [place.path(f"x/{number}") for number in range(20)]
    for path in paths[::2]:
        place.store.put(path, b"x")
    keep = place.path("keep")
    place.store.put(keep, b"x")
    place.store.delete([*paths, paths[0]])
    place.store.delete(paths)
    place.store.delete([])
    assert place.store.files(place.folder) == [File("keep", 1)]


def test_threads_share_a_store(place: Place) -> None:
    def work(index: int) -> bool:
        path = place.path(f"{index}")
        version = place.store.put(path, b"%d" % index)
        return place.store.get_many([path, path]) == [Blob(b"%d" % index, version)] * 2

    assert all(at_once(work))
    assert len(place.store.list(place.folder)) == THREADS


def test_a_forked_process_uses_the_same_store(lasting: Place) -> None:
    place = lasting
    path = place.path("a")
    version = place.store.put(path, b"parent")
    reader, writer = os.pipe()
    with warnings.catch_warnings():
        warnings.simplefilter(
            "ignore", DeprecationWarning
        )  # threads are running: that is the point
        child = os.fork()
    if child == 0:
        status = 1
        try:
            read = place.store.get(path)
            replaced = place.store.replace_if(path, b"child", version)
            os.write(writer, json.dumps([read and read.data.decode(), replaced]).encode())
            status = 0
        finally:
            os._exit(status)
    os.close(writer)
    with os.fdopen(reader, "rb") as answer:
        said = json.loads(answer.read())
    assert os.waitpid(child, 0)[1] == 0
    read, replaced = said
    assert read == "parent"
    assert place.store.get(path) == Blob(b"child", replaced)
    assert place.store.put_if_absent(path, b"parent") is None
