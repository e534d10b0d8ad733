"""The stand-in for Cloud Storage keeps the published rules, for gcsfs and for plain HTTP."""

from __future__ import annotations

import base64
import hashlib
import json
from typing import TYPE_CHECKING, Any
from urllib.error import HTTPError
from urllib.parse import quote, urlencode
from urllib.request import Request, urlopen

import pytest

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tests.servers.gcs import GcsServer

Answer = tuple[int, dict[str, str], bytes]


class Api:
    """Plain requests to the server, by path below `/storage/v1/b/bucket/o`."""

    def __init__(self, url: str) -> None:
        self.url = url

    def ask(
        self,
        method: str,
        path: str,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        **query: Any,
    ) -> Answer:
        address = path if path.startswith("http") else self.url + path
        if query:
            address += "?" + urlencode(query)
        request = Request(address, body, dict(headers or {}), method=method)
        try:
            with urlopen(request) as answer:
                return answer.status, dict(answer.headers), answer.read()
        except HTTPError as error:
            with error:
                return error.code, dict(error.headers), error.read()

    def item(self, method: str, name: str, **query: Any) -> Answer:
        return self.ask(method, f"/storage/v1/b/bucket/o/{quote(name, safe='')}", **query)

    def insert(self, name: str, data: bytes, **query: Any) -> Answer:
        path = "/upload/storage/v1/b/bucket/o"
        return self.ask("POST", path, data, uploadType="media", name=name, **query)

    def resource(self, name: str, data: bytes) -> dict[str, Any]:
        status, _, body = self.insert(name, data)
        assert status == 200
        parsed: dict[str, Any] = json.loads(body)
        return parsed

    def list(self, **query: Any) -> dict[str, Any]:
        status, _, body = self.ask("GET", "/storage/v1/b/bucket/o", **query)
        assert status == 200
        parsed: dict[str, Any] = json.loads(body)
        return parsed


@pytest.fixture
def api(gcs: GcsServer) -> Api:
    gcs.api.buckets.objects("bucket").clear()
    return Api(gcs.url)


def test_a_resource_describes_its_object(api: Api) -> None:
    made = api.resource("a/ü b", b"hello")
    assert made["name"] == "a/ü b"
    assert made["size"] == "5"
    assert made["metageneration"] == "1"
    assert made["md5Hash"] == base64.b64encode(hashlib.md5(b"hello").digest()).decode()
    assert made["crc32c"] == "mnG7TA=="
    assert made["timeCreated"] == made["updated"]
    assert made["updated"].endswith("Z")
    assert int(api.resource("a/ü b", b"hello")["generation"]) > int(made["generation"])


def test_preconditions_of_writes(api: Api) -> None:
    assert api.insert("a", b"", ifGenerationMatch=1)[0] == 412
    assert api.insert("a", b"", ifGenerationNotMatch=0)[0] == 412
    status, _, body = api.insert("a", b"1", ifGenerationMatch=0)
    assert status == 200
    generation = int(json.loads(body)["generation"])
    status, _, body = api.insert("a", b"2", ifGenerationMatch=0)
    assert status == 412
    assert json.loads(body)["error"]["errors"][0]["reason"] == "conditionNotMet"
    assert api.insert("a", b"2", ifMetagenerationMatch=2)[0] == 412
    assert api.insert("a", b"2", ifGenerationMatch=generation)[0] == 200
    assert api.item("DELETE", "a", ifGenerationMatch=generation)[0] == 412
    assert api.item("DELETE", "a", ifMetagenerationMatch=1)[0] == 204
    assert api.item("DELETE", "a", ifGenerationMatch=generation)[0] == 404


def test_preconditions_of_reads(api: Api) -> None:
    generation = int(api.resource("a", b"1")["generation"])
    for query, status in (
        ({"ifGenerationMatch": generation}, 200),
        ({"ifGenerationMatch": generation + 1}, 412),
        ({"ifGenerationNotMatch": generation}, 304),
        ({"ifGenerationNotMatch": generation + 1}, 200),
        ({"ifMetagenerationMatch": 2}, 412),
        ({"ifMetagenerationNotMatch": 1}, 304),
        ({"generation": generation}, 200),
        ({"generation": generation + 1}, 404),
        ({"ifGenerationMatch": "x"}, 400),
    ):
        assert api.item("GET", "a", **query)[0] == status, query
        assert api.item("GET", "a", alt="media", **query)[0] == status, query


def test_media_and_ranges(api: Api) -> None:
    made = api.resource("a", b"0123456789")
    status, headers, body = api.item("GET", "a", alt="media")
    assert (status, body) == (200, b"0123456789")
    assert headers["X-Goog-Generation"] == made["generation"]
    for asked, status, expected in (
        ("bytes=2-4", 206, b"234"),
        ("bytes=8-", 206, b"89"),
        ("bytes=8-99", 206, b"89"),
        ("bytes=-3", 206, b"789"),
        ("bytes=-99", 206, b"0123456789"),
        ("pages=1-2", 200, b"0123456789"),
    ):
        path = "/download/storage/v1/b/bucket/o/a"
        answer = api.ask("GET", path, headers={"Range": asked}, alt="media")
        assert (answer[0], answer[2]) == (status, expected), asked
    answer = api.ask("GET", path, headers={"Range": "bytes=10-"}, alt="media")
    assert answer[0] == 416


@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("media", [b"", b"x", b"\r\n\r\n--b\n\n", b"--b--", b"ends in\r"])
def test_multipart_bodies_may_hold_anything(api: Api, end: str, media: bytes) -> None:
    head = end.join(
        ["--b", "Content-Type: application/json", "", json.dumps({"name": "m"}), "--b",
         "Content-Type: text/x-mine", "", ""]
    )  # fmt: skip
    body = head.encode() + media + f"{end}--b--{end}".encode()
    headers = {"Content-Type": 'multipart/related; boundary="b"'}
    path = "/upload/storage/v1/b/bucket/o"
    status, _, said = api.ask("POST", path, body, headers, uploadType="multipart")
    assert status == 200, said
    assert json.loads(said)["contentType"] == "text/x-mine"
    assert api.item("GET", "m", alt="media")[2] == media


def test_a_resumable_upload_in_chunks(api: Api) -> None:
    path = "/upload/storage/v1/b/bucket/o"
    query: dict[str, Any] = {"uploadType": "resumable", "name": "r", "ifGenerationMatch": 0}
    place = api.ask("POST", path, b"{}", **query)[1]["Location"]
    assert api.ask("PUT", place, b"", {"Content-Range": "bytes */10"})[0] == 308
    answer = api.ask("PUT", place, b"01234", {"Content-Range": "bytes 0-4/10"})
    assert (answer[0], answer[1]["Range"]) == (308, "bytes=0-4")
    # Sent again from an earlier byte, as after a lost reply.
    answer = api.ask("PUT", place, b"3456789", {"Content-Range": "bytes 3-9/10"})
    assert answer[0] == 200
    assert api.item("GET", "r", alt="media")[2] == b"0123456789"
    # Sent once more, as after the last reply was lost: it is complete, and written once.
    assert api.ask("PUT", place, b"3456789", {"Content-Range": "bytes 3-9/10"}) == answer
    # The condition is judged when the last byte is there.
    place = api.ask("POST", path, b"{}", **query)[1]["Location"]
    assert api.ask("PUT", place, b"x", {"Content-Range": "bytes 0-0/1"})[0] == 412
    assert api.ask("DELETE", place)[0] == 499
    assert api.ask("PUT", place, b"x")[0] == 404


def test_listings(api: Api) -> None:
    for name in ("a/1", "a/2", "a/b/3", "a/b/4", "a.txt", "b/", "b/5", "ü"):
        api.insert(name, b"")

    def names(page: Mapping[str, Any]) -> list[str]:
        return [item["name"] for item in page.get("items", [])]

    assert names(api.list()) == ["a.txt", "a/1", "a/2", "a/b/3", "a/b/4", "b/", "b/5", "ü"]
    page = api.list(delimiter="/")
    assert (names(page), page["prefixes"]) == (["a.txt", "ü"], ["a/", "b/"])
    page = api.list(delimiter="/", includeTrailingDelimiter="true")
    assert (names(page), page["prefixes"]) == (["a.txt", "b/", "ü"], ["a/", "b/"])
    page = api.list(prefix="a/", delimiter="/")
    assert (names(page), page["prefixes"]) == (["a/1", "a/2"], ["a/b/"])
    assert names(api.list(startOffset="a/2", endOffset="b/")) == ["a/2", "a/b/3", "a/b/4"]
    assert names(api.list(matchGlob="a/*")) == ["a/1", "a/2"]
    assert names(api.list(matchGlob="a/**")) == ["a/1", "a/2", "a/b/3", "a/b/4"]
    assert names(api.list(matchGlob="**/{3,5}")) == ["a/b/3", "b/5"]
    assert names(api.list(matchGlob="a/[!1]")) == ["a/2"]
    assert api.list(prefix="none") == {"kind": "storage#objects"}


@pytest.mark.parametrize("size", [1, 2, 3, 1000])
@pytest.mark.parametrize("delimiter", ["", "/"])
def test_pages_leave_nothing_out(api: Api, size: int, delimiter: str) -> None:
    for name in ("a", "b/1", "b/2", "c", "d/1", "d/2", "e"):
        api.insert(name, b"")
    found: list[str] = []
    token = ""
    while True:
        page = api.list(delimiter=delimiter, maxResults=size, pageToken=token)
        shown = [i["name"] for i in page.get("items", [])] + page.get("prefixes", [])
        assert 1 <= len(shown) <= size
        found += shown
        token = page.get("nextPageToken", "")
        if not token:
            break
    expected = ["a", "b/", "c", "d/", "e"] if delimiter else sorted(found)
    assert sorted(found) == expected
    assert len(found) == (5 if delimiter else 7)


def test_gcsfs_finds_a_whole_file_system(gcs: GcsServer) -> None:
    from gcsfs.core import GCSFileSystem

    fs = GCSFileSystem(token="anon", use_listings_cache=False, endpoint_url=gcs.url)
    fs.pipe_file("bucket/fs/a", b"one", mode="create")
    with pytest.raises(FileExistsError):
        fs.pipe_file("bucket/fs/a", b"two", mode="create")
    with fs.open("bucket/fs/big", "wb", block_size=2**18) as stream:
        for _ in range(3):
            stream.write(b"x" * 2**18)
        stream.write(b"end")
    assert fs.cat_file("bucket/fs/big", start=3 * 2**18) == b"end"
    fs.cp_file("bucket/fs/a", "bucket/fs/b")
    fs.mv("bucket/fs/b", "bucket/fs/c")
    fs.merge("bucket/fs/ac", ["bucket/fs/a", "bucket/fs/c"])
    assert fs.cat_file("bucket/fs/ac") == b"oneone"
    assert "md5Hash" not in fs.info("bucket/fs/ac")
    fs.setxattrs("bucket/fs/a", colour="red")
    assert fs.getxattr("bucket/fs/a", "colour") == "red"
    assert fs.info("bucket/fs/a")["metageneration"] == "2"
    names = ["bucket/fs/a", "bucket/fs/ac", "bucket/fs/big", "bucket/fs/c"]
    assert sorted(fs.find("bucket/fs")) == names
    fs.rm("bucket/fs", recursive=True)
    assert not fs.exists("bucket/fs")
    assert fs.exists("bucket")
