"""A refusal is shown in the words of the server, and what may pass is waited for."""

from __future__ import annotations

import json

import pytest

from marin_build.engines.jobs import JobRefusedError, QueueAwayError
from marin_build.engines.kubernetes.api_errors import away, read_error, refusal


def _status(message: str, *causes: tuple[str, str]) -> bytes:
    details = {"causes": [{"field": field, "message": text} for field, text in causes]}
    return json.dumps({"kind": "Status", "message": message, "details": details}).encode()


def test_each_wrong_field_is_named() -> None:
    """Else a person gets one field of five, or a page of JSON."""
    body = _status("Job is invalid", ("spec.a", "Required value"), ("spec.b", "Invalid\nvalue"))
    error = refusal(read_error(422, body, ""), "mb-a")
    assert isinstance(error, JobRefusedError)
    assert error.what == ("the cluster refuses it: spec.a: Required value; spec.b: Invalid value")


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (0, b""),
        (401, _status("Unauthorized")),
        (403, _status('User "system:anonymous" cannot create resource "jobs"')),
        (403, _status("exceeded quota: jobs, requested: count/jobs.batch=1")),
        (429, b"slow down"),
        (500, _status("failed calling webhook")),
        (503, b"<html>"),
    ],
)
def test_what_may_pass_is_waited_for(status: int, body: bytes) -> None:
    """Else a busy server, a full quota or an old login fails a step."""
    assert isinstance(refusal(read_error(status, body, "Reason"), "mb-a"), QueueAwayError)


@pytest.mark.parametrize(
    ("status", "body", "said"),
    [
        (400, _status("unknown field"), "unknown field"),
        (403, _status('User "u" cannot create resource "jobs"'), 'User "u" cannot'),
        (403, _status('admission webhook "w" denied the request'), "denied the request"),
        (404, _status('namespaces "x" not found'), 'namespaces "x" not found'),
        (413, b"\xff{[", "Too Large"),
        (422, _status("x" * 9000), "x..."),
        (400, _status("a\x1b[31mb"), "a\\x1b[31mb"),
    ],
)
def test_what_stays_refused_is_told(status: int, body: bytes, said: str) -> None:
    """Else a job that can never start is tried for ever, or a server writes to the terminal."""
    error = refusal(read_error(status, body, "Too Large"), "mb-a")
    assert isinstance(error, JobRefusedError)
    assert said in error.what
    assert len(error.what) < 500


@pytest.mark.parametrize("body", [b"[]", b"3", b'{"details": 3}', b'{"details": {"causes": [1]}}'])
def test_an_odd_answer_is_an_answer(body: bytes) -> None:
    """Else a proxy between us and the server ends the run with a traceback."""
    assert read_error(400, body, "Bad Request").reason == "Bad Request"
    assert "no answer" in away(read_error(502, body, "Bad Gateway")).what
