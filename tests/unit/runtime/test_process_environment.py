"""Environment variables of functions that run at once in one program."""

from __future__ import annotations

import os
import threading

import pytest

from marin_build import JobRequest, JobStatus, submit
from marin_build.errors import StepFailedError


def test_variables_are_there_while_the_function_runs_and_then_as_before(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("OLD", "1")
    seen: list[tuple[str, str]] = []
    request = JobRequest(
        "job",
        lambda: seen.append((os.environ["OLD"], os.environ["NEW"])),
        env_vars={"OLD": "2", "NEW": "3"},
    )
    submit(request).wait()
    assert seen == [("2", "3")]
    assert os.environ["OLD"] == "1"
    assert "NEW" not in os.environ


def test_functions_at_once_do_not_take_each_others_variables() -> None:
    """They share one environment: a wrong value must not go unnoticed."""
    inside, go_on = threading.Event(), threading.Event()

    def first() -> None:
        inside.set()
        go_on.wait()
        assert os.environ["SHARED"] == "1"

    one = submit(JobRequest("one", first, env_vars={"SHARED": "1"}))
    assert inside.wait(240)
    same = submit(JobRequest("same", lambda: None, env_vars={"SHARED": "1"}))
    assert same.wait() is JobStatus.SUCCEEDED
    other = submit(JobRequest("other", lambda: None, env_vars={"SHARED": "2"}))
    with pytest.raises(StepFailedError, match="set `SHARED` to different values"):
        other.wait()
    go_on.set()
    assert one.wait() is JobStatus.SUCCEEDED
    assert "SHARED" not in os.environ
