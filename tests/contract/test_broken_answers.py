"""S3 whose answers about errors break off, or are none: proxies make such."""

from __future__ import annotations

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

import pytest

from marin_build.errors import StoreAwayError
from marin_build.store.s3 import S3Store

if TYPE_CHECKING:
    from collections.abc import Iterator

_ERROR = b"<?xml version='1.0'?><Error><Code>NoSuchKey</Code><Message>It is not there.</Message>"


class _Broken(BaseHTTPRequestHandler):
    """Answers every request with 404, and a body that is not whole."""

    protocol_version = "HTTP/1.1"
    body, missing = _ERROR, 0

    def do_GET(self) -> None:
        self.send_response(404)
        self.send_header("Content-Length", str(len(self.body) + self.missing))
        self.end_headers()
        self.wfile.write(self.body)
        self.close_connection = self.missing > 0

    do_PUT = do_DELETE = do_GET  # noqa: N815 - the names that the library calls

    def do_HEAD(self) -> None:
        self.send_response(404)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture(params=["cut", "cut on the way", "no XML", "empty"])
def store(request: pytest.FixtureRequest) -> Iterator[S3Store]:
    """A store behind such answers."""
    body = {"no XML": b"<html><br>", "empty": b""}.get(request.param, _ERROR)
    missing = 50 if request.param == "cut on the way" else 0
    handler = type("Handler", (_Broken,), {"body": body, "missing": missing})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{server.server_port}")
            patch.setenv("AWS_ACCESS_KEY_ID", "x")
            patch.setenv("AWS_SECRET_ACCESS_KEY", "x")
            patch.setenv("AWS_DEFAULT_REGION", "us-east-1")
            patch.setattr("marin_build.store.s3._TRIES", 1)
            patch.setattr("marin_build.store.remote.FURTHER_TRIES", 1)
            patch.setattr("marin_build.store.remote.FIRST_PAUSE", 0.0)
            yield S3Store()
        server.shutdown()


def test_what_is_not_there_is_not_there_whatever_the_answer_says(store: S3Store) -> None:
    """Else one broken answer to a look at a lease ends the run."""
    assert store.get("s3://b/x") is None
    assert store.get_many(["s3://b/x", "s3://b/y"]) == [None, None]


def test_a_write_with_a_broken_answer_is_to_be_tried_again(store: S3Store) -> None:
    """Else an attempt that is done fails, because of a bucket that is there."""
    with pytest.raises(StoreAwayError):
        store.put("s3://b/x", b"")
    with pytest.raises(StoreAwayError):
        store.put_if_absent("s3://b/x", b"")
