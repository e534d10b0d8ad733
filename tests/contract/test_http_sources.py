"""Sources behind `http://`: read once, and whatever a server answers instead is said in words."""

from __future__ import annotations

import hashlib
import importlib
import itertools
import os
import sys
import threading
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import pytest

from marin_build.errors import MarinBuildError, StoreAwayError, StoreError
from marin_build.observe.read_remote_sources import read_remote_digests
from marin_build.pipeline.source import Source
from marin_build.pipeline.source_digests import content_of, forget_digests, remember_digest
from marin_build.workspace.workspace import Workspace
from tests.workspaces import in_workspace

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

OLD = "Mon, 01 Jan 2024 00:00:00 GMT"
DATA = b"some bytes\n" * 300_000


class Server:
    """Answers as a test sets it up, and keeps the methods of the requests."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.data = DATA
        self.headers: dict[str, str] = {"Last-Modified": OLD}
        self.status: dict[str, int] = {}
        self.cut = 0
        handler = type("Handler", (_Handler,), {"says": self})
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        self._thread = threading.Thread(target=self.server.serve_forever, args=(0.01,))
        self._thread.start()

    def close(self) -> None:
        """End."""
        self.server.shutdown()
        self.server.server_close()
        self._thread.join()


class _Handler(BaseHTTPRequestHandler):
    says: Server

    def do_HEAD(self) -> None:
        self._answer(b"")

    def do_GET(self) -> None:
        self._answer(self.says.data[: len(self.says.data) - self.says.cut])

    def _answer(self, body: bytes) -> None:
        says = self.says
        says.asked.append(self.command)
        status = says.status.get(self.command, 200)
        if self.path == "/moved":
            self.send_response(302)
            self.send_header("Location", "/data")
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        self.send_response(status)
        self.send_header("Content-Length", str(len(says.data) if status == 200 else 0))
        for name, value in says.headers.items():
            self.send_header(name, value)
        self.end_headers()
        if status == 200:
            with suppress(ConnectionError):  # it does not want the body
                self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


@pytest.fixture
def server() -> Iterator[Server]:
    made = Server()
    yield made
    made.close()


@pytest.fixture(autouse=True)
def project(tmp_path: Path) -> Iterator[Path]:
    """Put a project in force, whose cache is empty."""
    with in_workspace(Workspace(str(tmp_path), str(tmp_path / "out"))):
        yield tmp_path
        forget_digests()


def _digest(url: str) -> str:
    """Return the digest of a source as a new command finds it."""
    forget_digests()
    source = Source("data", url)
    for error in read_remote_digests([source]):
        raise error
    return content_of(source).digest


SHA256 = hashlib.sha256(DATA).hexdigest()


@pytest.mark.parametrize(
    ("headers", "is_kept"),
    [
        ({"Last-Modified": OLD}, True),
        ({"ETag": '"1"'}, True),
        ({"ETag": '"1"', "Last-Modified": OLD}, True),
        ({"ETag": 'W/"1"', "Last-Modified": OLD}, True),
        ({"ETag": 'W/"1"'}, False),  # of this the server does not say that the bytes are equal
        ({"Last-Modified": "Fri, 01 Jan 2100 00:00:00 GMT"}, False),  # may change within a second
        ({"Last-Modified": "yesterday"}, False),
        ({}, False),
    ],
)
@pytest.mark.parametrize("head", [200, 403, 405, 501])
def test_a_page_is_read_once_if_the_server_can_tell_that_it_is_the_same(
    server: Server, headers: dict[str, str], head: int, *, is_kept: bool
) -> None:
    server.headers, server.status = headers, {"HEAD": head}
    assert _digest(f"{server.url}/data") == SHA256
    server.asked.clear()
    assert _digest(f"{server.url}/data") == SHA256
    reads = server.asked.count("GET") - (head != 200)
    assert reads == (not is_kept)


@pytest.mark.parametrize(
    "change",
    [
        lambda server: server.headers.update({"ETag": '"2"'}),
        lambda server: server.headers.update({"Last-Modified": "Tue, 02 Jan 2024 00:00:00 GMT"}),
        lambda server: setattr(server, "data", DATA + b"more"),
    ],
)
def test_a_page_that_changed_is_read_again(
    server: Server, change: Callable[[Server], object]
) -> None:
    _digest(f"{server.url}/data")
    change(server)
    server.data = server.data.replace(b"some", b"more")
    assert _digest(f"{server.url}/data") == hashlib.sha256(server.data).hexdigest()


def test_a_page_that_has_moved_is_followed(server: Server) -> None:
    assert _digest(f"{server.url}/moved") == SHA256


@pytest.mark.parametrize(
    ("status", "kind", "reason"),
    [
        (404, MarinBuildError, "there is neither an object nor a folder of that name"),
        (410, MarinBuildError, "there is neither an object nor a folder of that name"),
        (401, StoreError, "permission denied: the server answers 401 Unauthorized"),
        (403, StoreError, "permission denied: the server answers 403 Forbidden"),
        (400, StoreError, "the server answers 400 Bad Request"),
        (429, StoreAwayError, "the server answers 429 Too Many Requests"),
        (500, StoreAwayError, "the server answers 500 Internal Server Error"),
        (503, StoreAwayError, "the server answers 503 Service Unavailable"),
    ],
)
@pytest.mark.parametrize("methods", [("HEAD", "GET"), ("GET",)])
def test_an_answer_that_is_no_content_is_said(
    server: Server, status: int, kind: type[MarinBuildError], reason: str, methods: tuple[str, ...]
) -> None:
    """A 404 was "empty"."""
    server.status = dict.fromkeys(methods, status)
    with pytest.raises(MarinBuildError) as caught:
        _digest(f"{server.url}/data")
    if status not in (404, 410) or "HEAD" in methods:
        assert isinstance(caught.value, kind)
        assert reason in dict(caught.value.facts)["reason"]
    assert dict(caught.value.facts)["location"] == f"{server.url}/data"
    assert "\n" not in dict(caught.value.facts)["reason"]


def test_half_a_page_is_no_source(server: Server) -> None:
    server.cut = 1000
    with pytest.raises(StoreError, match="cannot read the source `data`"):
        _digest(f"{server.url}/data")


def test_a_page_that_changes_while_it_is_read_is_no_source(server: Server) -> None:
    answer, versions = _Handler._answer, itertools.count(1)

    def answer_anew(self: _Handler, body: bytes) -> None:
        server.headers = {"ETag": f'"{next(versions)}"'}
        answer(self, body)

    server.server.RequestHandlerClass._answer = answer_anew  # type: ignore[attr-defined]
    with pytest.raises(StoreError) as caught:
        _digest(f"{server.url}/data")
    assert "changed while it was read" in dict(caught.value.facts)["reason"]


def test_a_server_that_is_away_is_said(server: Server) -> None:
    server.server.server_close()
    with pytest.raises(StoreAwayError) as caught:
        _digest(f"{server.url}/data")
    assert "127.0.0.1" in dict(caught.value.facts)["reason"]


def test_a_scheme_that_is_unknown_is_said() -> None:
    with pytest.raises(StoreError) as caught:
        _digest("s33://bucket/x")
    assert "`s33://` is no scheme that is known" in dict(caught.value.facts)["reason"]
    assert caught.value.hint == "did you mean `s3`?"


@pytest.mark.parametrize(
    ("url", "package", "hint"),
    [
        ("hf://datasets/a/b", "huggingface_hub", "pip install huggingface_hub"),
        ("s3://bucket/x", "s3fs", "pip install 'marin-build[s3]'"),
        ("az://bucket/x", "adlfs", "pip install 'marin-build[azure]'"),
        ("sftp://host/x", "paramiko", "pip install paramiko"),
    ],
)
def test_a_package_that_is_not_installed_is_named(
    monkeypatch: pytest.MonkeyPatch, url: str, package: str, hint: str
) -> None:
    """`hf://` without its package was a traceback."""
    from marin_build.store import open_store

    for name in [name for name in sys.modules if name.partition(".")[0] == package]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, package, None)
    scheme = url.partition(":")[0]
    monkeypatch.delitem(sys.modules, f"fsspec.implementations.{scheme}", raising=False)
    registry = importlib.import_module("fsspec.registry")
    monkeypatch.delitem(registry._registry, scheme, raising=False)
    monkeypatch.setattr(
        open_store, "find_spec", lambda name: None if name == package else find_spec(name)
    )
    with pytest.raises(StoreError) as caught:
        _digest(url)
    assert "not installed" in dict(caught.value.facts)["reason"]
    assert caught.value.hint == hint


def test_a_url_of_a_local_file_is_a_local_file(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "a").write_text("one")
    by_url = _digest(f"file://{tmp_path}/data")
    local = Source("data", str(tmp_path / "data"))
    forget_digests()
    assert content_of(local).digest == by_url
    assert os.listdir(tmp_path) == ["data"]
    remember_digest(local, by_url)
