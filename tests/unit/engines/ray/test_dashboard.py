"""Requests to a dashboard: what it must not learn, and what people are told of its answers."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

import pytest

from marin_build.engines.jobs import JobRefusedError, JobRequest, QueueAwayError
from marin_build.engines.ray.dashboard import AnswerError, Dashboard, open_dashboard
from marin_build.engines.ray.job_queue import RayQueue
from marin_build.engines.ray.settings import RaySettings
from marin_build.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator

SPEC = '{"submission_id": "mb-x", "runtime_env": {"env_vars": {"MARIN_BUILD_JOB": "ray:mb-x"}}}'
TRACEBACK = "Traceback (most recent call last):\n  File x\nValueError: {}\n.\n"


@contextmanager
def _server(status: int, body: bytes, location: str = "") -> Iterator[tuple[str, list[str]]]:
    seen: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def _answer(self) -> None:
            seen.append(f"{self.command} {self.path} {self.headers.get('Authorization')}")
            self.rfile.read(int(self.headers.get("Content-Length") or 0))
            self.send_response(status)
            if location:
                self.send_header("Location", location)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_GET = do_POST = _answer  # noqa: N815 - names of http.server

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}", seen
        finally:
            server.shutdown()
            thread.join()


def test_a_redirect_is_not_followed_with_the_token() -> None:
    """Else a server that redirects a request can use the cluster."""
    with _server(200, b"{}") as (other, stolen), _server(302, b"", other) as (address, seen):
        dashboard = Dashboard(address + "/base/", {"Authorization": "Bearer t"})
        with pytest.raises(AnswerError) as caught:
            dashboard.ask("GET", "/api/version")
    assert caught.value.status == 302
    assert (seen, stolen) == (["GET /base/api/version Bearer t"], [])


@pytest.mark.parametrize(
    ("status", "text", "kind", "said"),
    [
        (
            400,
            TRACEBACK.format("no such field"),
            JobRefusedError,
            "refuses it: ValueError: no such",
        ),
        (500, TRACEBACK.format("Request failed with status code 400: x"), JobRefusedError, "400"),
        (404, "404: Not Found", JobRefusedError, "404: Not Found"),
        (500, TRACEBACK.format("Job mb-x-1 already exists."), QueueAwayError, "there already"),
        (400, TRACEBACK.format("Job mb-x-1 already exists."), QueueAwayError, "there already"),
        (503, "", QueueAwayError, "takes no job now: Service Unavailable"),
        (401, "no \x1b[1m ghp_" + "a1B2" * 9, QueueAwayError, "no \\x1b[1m [secret]"),
        (200, "<html>", QueueAwayError, "speaks no JSON"),
    ],
)
def test_only_a_wrong_request_is_refused_for_good(
    status: int, text: str, kind: type[Exception], said: str
) -> None:
    """Else a head that restarts fails a step, or a request that is wrong is repeated for ever."""
    with _server(status, text.encode()) as (address, _):
        queue = RayQueue(Dashboard(address, {}), "/nowhere", 1.0)
        with pytest.raises(kind) as caught:
            queue.submit(JobRequest("mb-x", SPEC))
    assert said in str(caught.value)


@pytest.mark.parametrize("body", [b"{}", b'[{"submission_id": null}, 3, {"status": "PENDING"}]'])
def test_a_list_in_another_form_is_no_end_of_a_job(body: bytes) -> None:
    """Else a proxy's page, or a job that has no id, ends or breaks a run."""
    with _server(200, body) as (address, _):
        queue = RayQueue(Dashboard(address, {}), "/nowhere", 1.0)
        if body == b"{}":
            with pytest.raises(QueueAwayError):
                queue.find(["mb-x"])
        else:
            assert queue.find(["mb-x"]) == {}


def test_a_server_that_is_no_ray_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """Else jobs are posted to whatever listens on that port."""
    monkeypatch.delenv("RAY_AUTH_TOKEN", raising=False)
    with _server(200, b'{"version": "4"}') as (address, seen):
        queue = RayQueue(open_dashboard(RaySettings(address=address)), "/nowhere", 1.0)
        with pytest.raises(UsageError, match="no Ray dashboard"):
            queue.check()
    assert seen == ["GET /api/version None"]


@pytest.mark.parametrize("value", ["", "two\nlines", "ü"])
def test_a_secret_that_cannot_be_sent_is_named_and_not_shown(
    monkeypatch: pytest.MonkeyPatch, value: str
) -> None:
    """Else the error of the HTTP library shows it."""
    monkeypatch.setenv("LAB", value)
    with pytest.raises(UsageError) as caught:
        open_dashboard(RaySettings(token="env:LAB"))
    assert "`env:LAB`" in caught.value.render()
    assert value not in caught.value.render() or not value
