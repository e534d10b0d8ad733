"""Digests of sources that live in stores."""

from __future__ import annotations

import hashlib
import threading
from typing import TYPE_CHECKING, Any

import fsspec
import pytest

from marin_build.cli.views.warnings import show_reading
from marin_build.errors import MarinBuildError
from marin_build.observe import read_remote_sources
from marin_build.observe.read_remote_sources import ReadingInputs, read_remote_digests
from marin_build.pipeline.source import Source
from marin_build.pipeline.source_digests import digest_of, forget_digests
from marin_build.store import fsspec_objects
from marin_build.store.fsspec_objects import FsspecObjects
from marin_build.workspace.workspace import Workspace
from tests.workspaces import in_workspace

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def memory() -> Iterator[Any]:
    """fsspec's file system in memory, empty."""
    fs = fsspec.filesystem("memory")
    fs.store.clear()
    yield fs
    fs.store.clear()


def _read(source: Source) -> None:
    for error in read_remote_digests([source]):
        raise error


def test_a_remote_tree_has_a_digest_of_its_contents_only(memory: Any) -> None:
    memory.pipe({"/b/t/a.txt": b"one", "/b/t/c/d.txt": b"two", "/b/t/skip.bin": b"x"})
    memory.pipe({"/other/t/a.txt": b"one", "/other/t/c/d.txt": b"two"})
    first = Source("t", "memory://b/t", ("**/*.txt",))
    moved = Source("t", "memory://other/t", ("**/*.txt",))
    for declared in (first, moved):
        _read(declared)
    assert digest_of(first) == digest_of(moved)
    memory.pipe({"/third/t/a.txt": b"changed", "/third/t/c/d.txt": b"two"})
    third = Source("t", "memory://third/t", ("**/*.txt",))
    _read(third)
    assert digest_of(third) != digest_of(first)


def test_a_remote_file_is_read_once(memory: Any) -> None:
    memory.pipe({"/b/a": b"one"})
    declared = Source("a", "memory://b/a")
    _read(declared)
    before = digest_of(declared)
    memory.pipe({"/b/a": b"two"})
    _read(declared)
    assert digest_of(declared) == before


def test_a_remote_source_that_is_not_there_is_an_error(memory: Any) -> None:
    with pytest.raises(MarinBuildError, match="`n`"):
        _read(Source("n", "memory://b/none"))


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ({"md5Hash": "m1", "generation": "1"}, "md5Hash:m1:3"),
        ({"md5Hash": "m1", "generation": "2", "crc32c": "c"}, "md5Hash:m1:3"),
        # Put together from parts: it is read, so that it is what it is as a whole.
        ({"crc32c": "c"}, "md5Hash:+XxdKZQb+xsv2rCHSQargg==:3"),
        ({"etag": "e"}, hashlib.sha256(b"one").hexdigest()),
        ({"content_md5": "m"}, hashlib.sha256(b"one").hexdigest()),
        ({"lfs": {"sha256": "ab" * 32}}, "ab" * 32),
        ({"lfs": None, "blob_id": "1"}, hashlib.sha256(b"one").hexdigest()),
    ],
)
def test_an_object_is_known_by_the_checksum_of_its_store(
    memory: Any, monkeypatch: pytest.MonkeyPatch, said: dict[str, Any], expected: str
) -> None:
    """Not by generation or etag: the same bytes copied again must not rebuild everything."""
    memory.pipe({"/b/a": b"one"})
    info = memory.info
    monkeypatch.setattr(type(memory), "info", lambda self, path, **_: {**info(path), **said})
    declared = Source("a", "memory://b/a")
    _read(declared)
    assert digest_of(declared) == expected


def test_progress_is_told_where_it_takes_long(memory: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A command that reads 200 MB without a word looks as if it hung."""
    memory.pipe({"/b/a": b"one" * 1_000_000, "/b/b": b"two"})
    told: list[ReadingInputs] = []
    heard = threading.Event()
    monkeypatch.setattr(read_remote_sources, "_PATIENCE", 0.0)
    monkeypatch.setattr(read_remote_sources, "_EVERY", 0.0)

    def tell(progress: ReadingInputs) -> None:
        told.append(progress)
        if progress.done:
            heard.set()

    pieces = FsspecObjects.pieces

    def until_heard(self: Any, url: str, it: Any) -> Iterator[bytes]:
        for piece in pieces(self, url, it):
            yield piece
            if url.endswith("/a"):
                assert heard.wait(240)

    monkeypatch.setattr(FsspecObjects, "pieces", until_heard)
    sources = [Source(name, f"memory://b/{name}") for name in ("a", "b")]
    assert read_remote_sources.read_remote_digests(sources, tell) == []
    last = told[-1]
    assert (last.size, last.sources) == (3_000_003, 2)
    assert 0 < last.done <= 3_000_003
    assert [each.done for each in told] == sorted(each.done for each in told)


@pytest.mark.parametrize(
    ("progress", "line"),
    [
        (ReadingInputs(0, None, 1), "looking at 1 remote input ..."),
        (ReadingInputs(48 << 20, 200 << 20, 2), "reading 2 remote inputs: 48 MiB of 200 MiB ..."),
        (ReadingInputs(48 << 20, None, 2), "reading 2 remote inputs: 48 MiB ..."),
    ],
)
def test_progress_is_one_line_beside_the_output(
    capsys: pytest.CaptureFixture[str], progress: ReadingInputs, line: str
) -> None:
    show_reading(progress)
    assert capsys.readouterr() == ("", line + "\n")


def test_sources_of_one_place_read_an_object_once(
    memory: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else train and eval splits of one folder are read twice, and read again by the next plan."""
    memory.pipe({"/b/t/a": b"one", "/b/t/b": b"two", "/b/t/c": b"three"})
    read: list[str] = []
    pieces, described = FsspecObjects.pieces, fsspec_objects._described

    def counted(self: Any, url: str, it: Any) -> Iterator[bytes]:
        read.append(url)
        return pieces(self, url, it)

    monkeypatch.setattr(FsspecObjects, "pieces", counted)
    monkeypatch.setattr(
        fsspec_objects, "_described", lambda path, info: described(path, {**info, "etag": "1"})
    )
    sources = [Source("t", "memory://b/t", names) for names in (("a", "b"), ("b", "c"))]
    with in_workspace(Workspace(str(tmp_path), str(tmp_path / "out"))):
        for expected in (["a", "b", "c"], []):
            forget_digests()
            read.clear()
            assert read_remote_sources.read_remote_digests(sources) == []
            assert sorted(read) == [f"memory://b/t/{name}" for name in expected]
    assert digest_of(sources[0]) != digest_of(sources[1])
    forget_digests()
