"""Digests of sources that live in stores."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import fsspec
import pytest

from marin_build.errors import MarinBuildError
from marin_build.observe.read_remote_sources import read_remote_digest
from marin_build.pipeline.source import Source
from marin_build.pipeline.source_digests import digest_of

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def memory() -> Iterator[Any]:
    """fsspec's file system in memory, empty."""
    fs = fsspec.filesystem("memory")
    fs.store.clear()
    yield fs
    fs.store.clear()


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
