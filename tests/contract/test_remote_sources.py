"""Sources in real stores: equal bytes are one identity, read once, and what fails is said."""

from __future__ import annotations

import base64
import hashlib
import io
import os
from typing import TYPE_CHECKING, Any

import pytest

from marin_build.errors import MarinBuildError, StoreError
from marin_build.observe.read_remote_sources import read_remote_digests
from marin_build.pipeline.source import Source
from marin_build.pipeline.source_digests import content_of, forget_digests
from marin_build.store import bucket_objects
from marin_build.workspace.workspace import Workspace
from tests.workspaces import in_workspace

from .first_formula import first_digest

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from .conftest import Place

# What aiohttp says of bodies that Azure's client sends as bytes.
pytestmark = pytest.mark.filterwarnings("ignore:Sending a large body directly:ResourceWarning")

LARGE = bytes(range(256)) * 40_000
"""More than two pieces."""


@pytest.fixture(autouse=True)
def project(tmp_path: Path) -> Iterator[Path]:
    """Put a project in force, whose cache is empty."""
    with in_workspace(Workspace(str(tmp_path), str(tmp_path / "out"))):
        forget_digests()
        yield tmp_path
        forget_digests()


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The URLs that were read whole."""
    found: list[str] = []
    pieces = bucket_objects.BucketObjects.pieces

    def counted(self: Any, url: str, it: Any) -> Any:
        found.append(url)
        return pieces(self, url, it)

    monkeypatch.setattr(bucket_objects.BucketObjects, "pieces", counted)
    return found


def _content(url: str, **rest: Any) -> Any:
    """Return the content of a source as a new command finds it."""
    forget_digests()
    source = Source("data", url, **rest)
    for error in read_remote_digests([source]):
        raise error
    return content_of(source)


def _write(place: Place, files: Mapping[str, bytes]) -> str:
    for path, data in files.items():
        place.store.put(place.path(path), data)
    return place.folder


def _write_in_parts(place: Place, name: str, data: bytes) -> None:
    """Write an object as large uploads are written: in parts, put together by the store."""
    least = 5 << 20 if place.kind == "s3" else 1  # of all parts but the last
    middle = max(least, len(data) // 2)
    parts = [part for part in (data[:middle], data[middle:]) if part]
    from fsspec.asyn import sync

    store: Any = place.store
    fs = store._file_system("write", place.folder)
    bucket, _, key = place.path(name).partition("://")[2].partition("/")
    if place.kind == "gcs":
        for number, part in enumerate(parts):
            place.store.put(f"gs://{bucket}/parts/{key}{number}", part)

    async def write() -> None:
        match place.kind:
            case "gcs":
                await fs._call(
                    "POST", "b/{}/o/{}/compose", bucket, key,
                    json={"sourceObjects": [
                        {"name": f"parts/{key}{n}"} for n in range(len(parts))
                    ]},
                )  # fmt: skip
            case "s3":
                client = await fs.set_session()
                upload = await client.create_multipart_upload(Bucket=bucket, Key=key)
                done = []
                for number, part in enumerate(parts, 1):
                    answer = await client.upload_part(
                        Bucket=bucket, Key=key, UploadId=upload["UploadId"], PartNumber=number,
                        Body=io.BytesIO(part),
                    )  # fmt: skip
                    done.append({"PartNumber": number, "ETag": answer["ETag"]})
                await client.complete_multipart_upload(
                    Bucket=bucket, Key=key, UploadId=upload["UploadId"],
                    MultipartUpload={"Parts": done},
                )  # fmt: skip
            case _:
                from azure.storage.blob import BlobBlock

                blob = fs.service_client.get_blob_client(bucket, key)
                blocks = [
                    BlobBlock(base64.b64encode(b"%03d" % n).decode()) for n in range(len(parts))
                ]
                for block, part in zip(blocks, parts, strict=True):
                    await blob.stage_block(block.id, io.BytesIO(part))
                await blob.commit_block_list(blocks)

    sync(fs.loop, write)


@pytest.mark.parametrize("data", [b"", b"one", LARGE])
def test_equal_bytes_are_one_identity_however_they_were_uploaded(
    remote: Place, data: bytes
) -> None:
    """Uploaded in parts, the same bytes had another checksum: all below was built again."""
    _write(remote, {"whole": data, "a/x": data, "b/x": data})
    assert _content(remote.path("a")).digest == _content(remote.path("b")).digest
    if not data:
        return
    _write_in_parts(remote, "parts", data)
    _write_in_parts(remote, "c/x", data)
    assert _content(remote.path("parts")).digest == _content(remote.path("whole")).digest
    assert _content(remote.path("c")).digest == _content(remote.path("a")).digest
    other = bytes([data[0] ^ 1]) + data[1:]
    _write_in_parts(remote, "other", other)
    assert _content(remote.path("other")).digest != _content(remote.path("whole")).digest


@pytest.mark.parametrize("marks", [("",), ("sub/",), ("empty/",), ("", "sub/", "empty/"),
                                   ("sub_$folder$",)])  # fmt: skip
def test_marks_of_folders_are_no_content(remote: Place, marks: tuple[str, ...]) -> None:
    """A console that makes a folder first, or a tool that does, must not change identity."""
    _write(remote, {"a": b"1", "sub/b": b"2"})
    before = _content(remote.folder)
    _write(remote, dict.fromkeys(marks, b""))
    assert _content(remote.folder).digest == before.digest
    _write(remote, {"zero": b""})  # a file that is empty is a file
    assert _content(remote.folder).digest != before.digest


FILES = {"a": b"1", "sub/b": b"2", "sub/deep/c": b"", "d e%#[x]": b"3", "é": b"4"}


@pytest.mark.parametrize("change", ["nothing", "parts", "marks", "file", "pattern"])
def test_what_was_built_under_the_first_formula_can_be_recognised(
    remote: Place, change: str
) -> None:
    """Else everything that reads from buckets is built again with the new version."""
    _write(remote, FILES)
    source = Source("data", remote.folder)
    match change:
        case "parts":
            _write_in_parts(remote, "sub/p", b"in parts")
        case "marks":
            unmarked = _content(remote.folder).digest
            _write(remote, {"sub/": b"", "empty/": b""})
            if remote.kind == "azure":  # version 0.1 could not read them there
                assert _content(remote.folder).digest == unmarked
                return
        case "file":
            source = Source("data", remote.path("a"))
        case "pattern":
            source = Source("data", remote.folder, ("sub/**",), ("**/c",))
    content = _content(source.location, include=source.include, exclude=source.exclude)
    assert (content.digest_1 or content.digest) == first_digest(source)
    is_other = (change, remote.kind) == ("parts", "gcs") or change == "marks"
    assert (content.digest_1 is not None) == is_other


def test_an_input_is_read_once_until_it_changes(remote: Place, read: list[str]) -> None:
    """200 MB on S3 were read whole by every command."""
    _write(remote, {"a": LARGE, "b": b"2"})
    _write_in_parts(remote, "p", b"in parts")
    first = _content(remote.folder)
    expected = {remote.path(name) for name in ("a", "b", "p")}
    assert set(read) == ({remote.path("p")} if remote.kind == "gcs" else expected)
    read.clear()
    for _ in range(2):
        assert _content(remote.folder) == first
        assert _content(remote.folder, include=("a", "p")).digest != first.digest
    assert read == []
    assert _content(remote.path("b"))  # another place of a source
    read.clear()
    _write_in_parts(remote, "p", b"IN PARTS")
    assert _content(remote.folder).digest != first.digest
    assert read == [remote.path("p")]
    read.clear()
    _write_in_parts(remote, "p", b"in parts")  # the old bytes, as a new object
    assert _content(remote.folder).digest == first.digest


def test_the_digest_is_that_of_the_bytes(remote: Place) -> None:
    _write(remote, {"a": LARGE})
    _write_in_parts(remote, "p", LARGE)
    md5 = base64.b64encode(hashlib.md5(LARGE).digest()).decode()
    expected = (
        f"md5Hash:{md5}:{len(LARGE)}" if remote.kind == "gcs" else hashlib.sha256(LARGE).hexdigest()
    )
    assert _content(remote.path("a")).digest == expected
    assert _content(remote.path("p")).digest == expected


def test_a_store_that_knows_the_sha256_is_believed(s3_url: str, read: list[str]) -> None:
    del s3_url
    from fsspec.asyn import sync

    from marin_build.store.s3 import S3Store

    fs = S3Store()._open()

    async def write() -> None:
        client = await fs.set_session()
        for name in ("sums/a", "sums/b"):
            await client.put_object(
                Bucket="bucket", Key=name, Body=b"one", ChecksumAlgorithm="SHA256"
            )

    sync(fs.loop, write)
    assert _content("s3://bucket/sums/a").digest == hashlib.sha256(b"one").hexdigest()
    assert _content("s3://bucket/sums").files == {
        "a": hashlib.sha256(b"one").hexdigest(), "b": hashlib.sha256(b"one").hexdigest(),
    }  # fmt: skip
    assert read == []


def test_an_object_that_changes_while_it_is_read_is_no_source(
    remote: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Half of one version and half of another must never become an identity."""
    _write_in_parts(remote, "a", LARGE)
    pieces = bucket_objects.BucketObjects.pieces

    def changing(self: Any, url: str, it: Any) -> Any:
        remote.store.put(remote.path("a"), b"other" * 1_000_000)
        return pieces(self, url, it)

    monkeypatch.setattr(bucket_objects.BucketObjects, "pieces", changing)
    with pytest.raises(StoreError, match="cannot read the source") as caught:
        _content(remote.path("a"))
    assert "changed while it was read" in dict(caught.value.facts)["reason"]


@pytest.mark.parametrize("name", ["none", "none/", "a/none", ""])
def test_what_is_not_there_is_said(remote: Place, name: str) -> None:
    if not name:
        url = remote.folder.replace("://bucket/", "://no-such-bucket/")
    else:
        _write(remote, {"a": b"1"})
        url = remote.path(name).rstrip("/")
    with pytest.raises(MarinBuildError) as caught:
        _content(url)
    reason = dict(caught.value.facts)["reason"]
    assert ("there is no bucket `no-such-bucket`" if not name else "neither an object") in reason
    assert dict(caught.value.facts)["location"] == url


def test_patterns_that_select_nothing_are_said(remote: Place) -> None:
    _write(remote, {"a": b"1"})
    with pytest.raises(MarinBuildError) as caught:
        _content(remote.folder, include=("*.txt",))
    assert dict(caught.value.facts)["reason"] == "its patterns select no object"


def test_all_that_cannot_be_read_is_said_together(remote: Place) -> None:
    _write(remote, {"a": b"1"})
    names = ["x", "y", "a"]
    errors = read_remote_digests([Source(name, remote.path(name)) for name in names])
    assert sorted(error.what for error in errors) == [
        "cannot read the source `x`", "cannot read the source `y`",
    ]  # fmt: skip


def test_the_cache_of_a_read_only_project_is_none(remote: Place, project: Path) -> None:
    (project / ".marin-build").write_text("in the way")
    _write(remote, {"a": b"1"})
    assert _content(remote.path("a")) == _content(remote.path("a"))
    assert os.path.isfile(project / ".marin-build")
