"""Planning over a bucket: read in one batch, and no lease pretended."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import fsspec
import pytest

from marin_build.digests import digest_of
from marin_build.errors import MarinBuildError, StoreError
from marin_build.sources import Source
from marin_build.store.local import LocalStore
from marin_build.store.opening import open_store
from marin_build.store.remote import FsspecStore
from marin_build.store.remote_digests import read_remote_digest

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def memory() -> Iterator[Any]:
    """fsspec's file system in memory, empty."""
    fs = fsspec.filesystem("memory")
    fs.store.clear()
    yield fs
    fs.store.clear()


def test_the_prefix_says_which_store_holds_it(memory: Any) -> None:
    assert isinstance(open_store("/data/out"), LocalStore)
    assert isinstance(open_store("memory://b/out"), FsspecStore)
    with pytest.raises(StoreError, match="cannot open the prefix `nope://b`"):
        open_store("nope://b")


def test_a_missing_object_is_none_and_others_are_read(memory: Any) -> None:
    store = open_store("memory://b")
    store.put("memory://b/x/a", b"one")
    assert store.get_many(["memory://b/x/a", "memory://b/x/b"]) == [b"one", None]
    assert store.get_many([]) == []
    blob = store.get("memory://b/x/a")
    assert blob is not None
    assert (blob.data, blob.version) == (b"one", store.put("memory://b/x/a", b"one"))
    assert store.get("memory://b/none") is None
    assert store.list("memory://b/x") == ["a"]
    assert store.list("memory://b/none") == []


@pytest.mark.parametrize(
    "call",
    [
        lambda store: store.put_if_absent("memory://b/x", b""),
        lambda store: store.replace_if("memory://b/x", b"", "v"),
        lambda store: store.delete_if("memory://b/x", "v"),
    ],
)
def test_no_lease_is_pretended_where_writes_have_no_conditions(memory: Any, call: Any) -> None:
    store = open_store("memory://b")
    assert not store.conditional
    with pytest.raises(StoreError, match="no conditional writes"):
        call(store)


def test_a_remote_tree_has_a_digest_of_its_contents_only(memory: Any) -> None:
    memory.pipe({"/b/t/a.txt": b"one", "/b/t/c/d.txt": b"two", "/b/t/skip.bin": b"x"})
    memory.pipe({"/other/t/a.txt": b"one", "/other/t/c/d.txt": b"two"})
    first = Source("t", "memory://b/t", ("**/*.txt",))
    moved = Source("t", "memory://other/t", ("**/*.txt",))
    for declared in (first, moved):
        read_remote_digest(declared)
    assert digest_of(first) == digest_of(moved)
    memory.pipe({"/third/t/a.txt": b"changed", "/third/t/c/d.txt": b"two"})
    third = Source("t", "memory://third/t", ("**/*.txt",))
    read_remote_digest(third)
    assert digest_of(third) != digest_of(first)


def test_a_remote_file_is_read_once(memory: Any) -> None:
    memory.pipe({"/b/a": b"one"})
    declared = Source("a", "memory://b/a")
    read_remote_digest(declared)
    before = digest_of(declared)
    memory.pipe({"/b/a": b"two"})
    read_remote_digest(declared)
    assert digest_of(declared) == before


def test_a_remote_source_that_is_not_there_is_an_error(memory: Any) -> None:
    with pytest.raises(MarinBuildError, match="`n`"):
        read_remote_digest(Source("n", "memory://b/none"))


def test_an_object_is_known_by_the_checksum_of_its_store(
    memory: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not by generation or etag: the same bytes copied again must not rebuild everything."""
    memory.pipe({"/b/a": b"one"})
    info = memory.info
    for generation in ("1", "2"):
        monkeypatch.setattr(
            type(memory),
            "info",
            lambda self, path, g=generation, **rest: {
                **info(path), "md5Hash": "m1", "generation": g, "etag": g,
            },
        )  # fmt: skip
        read_remote_digest(Source("a", "memory://b/a", (generation,)))
    assert digest_of(Source("a", "memory://b/a", ("1",))) == "md5Hash:m1:3"
    assert digest_of(Source("a", "memory://b/a", ("2",))) == "md5Hash:m1:3"
