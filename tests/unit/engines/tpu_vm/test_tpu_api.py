"""Requests to the Cloud TPU API: where a token may go, and what people are told of its answers."""

from __future__ import annotations

import base64
import json
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

import pytest

from marin_build.engines.jobs import (
    JobNotYetError,
    JobRefusedError,
    JobRequest,
    Phase,
    QueueAwayError,
)
from marin_build.engines.tpu_vm.job_queue import TpuVmQueue
from marin_build.engines.tpu_vm.machine_words import last_words_of, state_at_end, words_in
from marin_build.engines.tpu_vm.tpu_api import AnswerError, TpuApi, open_api
from marin_build.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PARENT = "projects/my-project/locations/us-east5-a"
ENDPOINT = "CLOUDSDK_API_ENDPOINT_OVERRIDES_TPU"
NAME = "mb-x-0123456789"
SPEC = json.dumps(
    {
        "tpu": {
            "nodeSpec": [
                {
                    "nodeId": NAME,
                    "node": {
                        "labels": {"marin-build-job": NAME},
                        "metadata": {"marin-build-job": NAME},
                    },
                }
            ]
        }
    }
)


@contextmanager
def _server(*answers: tuple[int, bytes], location: str = "") -> Iterator[tuple[str, list[str]]]:
    """Give these answers, the last one again and again; yield the URL and what was asked."""
    seen: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def _answer(self) -> None:
            status, body = answers[min(len(seen), len(answers) - 1)]
            seen.append(f"{self.command} {self.path} {self.headers.get('Authorization')}")
            self.rfile.read(int(self.headers.get("Content-Length") or 0))
            self.send_response(status)
            if location:
                self.send_header("Location", location)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_GET = do_POST = do_DELETE = _answer  # noqa: N815 - names of http.server

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


@pytest.fixture(autouse=True)
def _no_credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CLOUDSDK_AUTH_DISABLE_CREDENTIALS", "true")


def _api(monkeypatch: pytest.MonkeyPatch, url: str) -> TpuApi:
    monkeypatch.setenv(ENDPOINT, url)
    return open_api(PARENT)


def _error(message: str) -> bytes:
    return json.dumps({"error": {"code": 1, "message": message}}).encode()


def test_a_redirect_is_not_followed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Else a server that redirects a request gets a token for a whole project."""
    with (
        _server((200, b"{}")) as (other, stolen),
        _server((302, b""), location=other) as (url, seen),
        pytest.raises(AnswerError) as caught,
    ):
        _api(monkeypatch, url).list("nodes")
    assert caught.value.code == 302
    assert (len(seen), stolen) == (1, [])


@pytest.mark.parametrize("url", ["http://tpu.example/", "ftp://127.0.0.1", "x", "https://me:p@x/"])
def test_a_token_goes_to_no_server_that_others_can_listen_to(
    monkeypatch: pytest.MonkeyPatch, url: str
) -> None:
    """Else a variable that was left over sends it through a network in the clear."""
    with pytest.raises(UsageError) as caught:
        _api(monkeypatch, url)
    assert ENDPOINT in caught.value.render()
    assert "p@x" not in caught.value.render()


def test_without_credentials_a_person_is_told_how_to_get_some(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Else a stack of google-auth is all that a person sees."""
    monkeypatch.delenv("CLOUDSDK_AUTH_DISABLE_CREDENTIALS")
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(tmp_path / "gone.json"))
    with pytest.raises(UsageError) as caught:
        _api(monkeypatch, "http://127.0.0.1:1")
    assert "gcloud auth application-default login" in caught.value.render()


def test_lists_come_in_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    """Else a job on the second page is submitted again."""
    first = json.dumps({"nodes": [{"name": "a"}], "nextPageToken": "t&t"}).encode()
    with _server((200, first), (200, b'{"nodes": [{"name": "b"}, 3]}')) as (url, seen):
        assert _api(monkeypatch, url).list("nodes") == [{"name": "a"}, {"name": "b"}]
    assert seen == [
        f"GET /v2/{PARENT}/nodes?pageSize=1000 None",
        f"GET /v2/{PARENT}/nodes?pageSize=1000&pageToken=t%26t None",
    ]


@pytest.mark.parametrize(
    ("status", "body", "kind", "said"),
    [
        (400, _error("no such accelerator"), JobRefusedError, "refuses it: no such accelerator"),
        (403, _error("tpu.nodes.create denied"), JobRefusedError, "tpu.nodes.create denied"),
        (429, _error("Quota limit 'TPUs' exceeded"), JobNotYetError, "Quota limit 'TPUs' exceeded"),
        (429, _error("Quota exceeded: requests per minute"), QueueAwayError, "takes no request"),
        (409, _error("it already exists"), QueueAwayError, "is there already"),
        (503, b"", QueueAwayError, "takes no request now: Service Unavailable"),
        (401, _error("no \x1b[1m ghp_" + "a1B2" * 9), QueueAwayError, "no \\x1b[1m [secret]"),
        (200, b"<html>", QueueAwayError, "speaks no JSON"),
        (200, b"[]", QueueAwayError, "speaks no JSON"),
        (200, b'{"error": {"message": "no quota"}}', JobNotYetError, "no quota"),
    ],
)
def test_only_a_wrong_request_is_refused_for_good(
    monkeypatch: pytest.MonkeyPatch, status: int, body: bytes, kind: type[UsageError], said: str
) -> None:
    """Else a busy API fails a step, or a request that is wrong is repeated for ever."""
    with _server((status, body)) as (url, _):
        queue = TpuVmQueue(_api(monkeypatch, url), "/nowhere", 1.0)
        with pytest.raises(kind) as caught:
            queue.submit(JobRequest(NAME, SPEC))
    assert said in caught.value.render()


def test_a_server_that_is_away_is_no_end_of_a_job(monkeypatch: pytest.MonkeyPatch) -> None:
    """Else a laptop that sleeps ends the run, and the machines stay."""
    queue = TpuVmQueue(_api(monkeypatch, "http://127.0.0.1:1"), "/nowhere", 1.0)
    with pytest.raises(QueueAwayError, match="gives no answer: no connection"):
        queue.poll({f"{NAME}-1": NAME})


@pytest.mark.parametrize(
    "rows",
    [
        {},
        {"queuedResources": []},
        {"queuedResources": [{"name": 3}, {}, {"name": f"{PARENT}/queuedResources/other"}]},
        {"queuedResources": [{"name": f"x/{NAME}-1", "tpu": {"nodeSpec": "?"}}]},
        {"queuedResources": [{"name": f"x/{NAME}-1", "tpu": {"nodeSpec": [{"node": {}}]}}]},
    ],
)
def test_what_others_made_is_left_alone(
    monkeypatch: pytest.MonkeyPatch, rows: dict[str, Any]
) -> None:
    """Else a colleague's machines are deleted because of their name."""
    with _server((200, json.dumps(rows).encode())) as (url, seen):
        queue = TpuVmQueue(_api(monkeypatch, url), "/nowhere", 1.0)
        assert queue.find({NAME}) == {}
        assert queue.poll({f"{NAME}-1": NAME})[f"{NAME}-1"].phase is Phase.UNKNOWN
    assert {line.split()[0] for line in seen} == {"GET"}


def test_a_deletion_without_an_answer_is_asked_for_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """Else machines are paid for until a person looks at the bill."""
    with _server((503, b""), (400, b""), (200, b"{}")) as (url, seen):
        queue = TpuVmQueue(_api(monkeypatch, url), "/nowhere", 1.0)
        with pytest.raises(QueueAwayError):
            queue.cancel({f"{NAME}-1": NAME}, kill=False)
        assert queue.find({NAME}) == {}  # the API says that it cannot be deleted now
        assert queue.find({NAME}) == {}
        assert queue.find({NAME}) == {}
    deletions = [line for line in seen if line.startswith("DELETE")]
    assert deletions == [f"DELETE /v2/{PARENT}/queuedResources/{NAME}-1?force=true None"] * 3


def _said(*machines: dict[str, str]) -> dict[str, Any]:
    rows = [[{"key": key, "value": value} for key, value in one.items()] for one in machines]
    return {"guestAttributes": [{"queryValue": {"items": items}} for items in rows]}


def _words(code: str, text: str = "") -> dict[str, str]:
    return {"exit-code": code, "output": base64.b64encode(text.encode()).decode()}


def test_the_leader_and_what_died_without_a_word_end_a_job() -> None:
    """Else a job whose rank was killed is paid for until the leader notices, or ends too early."""
    nothing: dict[str, str] = {}
    cases: list[tuple[dict[str, Any], str | None, str | None, str]] = [
        (_said(nothing, nothing), None, None, ""),
        (_said(nothing, _words("0")), None, None, ""),
        (_said(_words("0", "done")), "exit code 0", None, "done"),
        (_said(nothing, _words("137", "Killed")), "exit code 137", None, "Killed"),
        (_said(_words("0", "fine"), _words("2", "bad")), "exit code 2", None, "bad"),
        (_said(_words("143")), "a machine was shut down (exit code 143)", "infra", ""),
    ]
    for answer, words, cause, output in cases:
        found = words_in(answer, is_first=True)
        state = state_at_end(found)
        assert (state.words if state else None) == words
        assert (state.cause if state else None) == cause
        if words is not None:
            assert last_words_of(found) == output
    assert state_at_end(words_in(_said(_words("0")), is_first=False)) is None


@pytest.mark.parametrize(
    "answer",
    [
        {},
        {"guestAttributes": 3},
        {"guestAttributes": [3, {"queryValue": 3}, {"queryValue": {"items": [3, {}]}}]},
        _said({"exit-code": "one"}),
        _said({"exit-code": "²"}),
        _said({"exit-code": "-1"}),
        _said({"exit-code": "9999"}),
    ],
)
def test_words_in_another_form_end_nothing(answer: dict[str, Any]) -> None:
    """Else what a program on a machine writes there breaks every run of the project."""
    assert words_in(answer, is_first=True) == []
    assert last_words_of(words_in(_said({"exit-code": "1", "output": "?"}), is_first=True)) == ""
