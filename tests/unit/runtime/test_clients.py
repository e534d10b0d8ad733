"""The seam to engines: a job that failed must never look like one that did not."""

from __future__ import annotations

import os
import threading
from dataclasses import FrozenInstanceError
from typing import TYPE_CHECKING

import pytest

from marin_build import (
    Client,
    JobHandle,
    JobRequest,
    JobStatus,
    LocalClient,
    ResourceConfig,
    current_client,
    set_current_client,
    submit,
)
from marin_build.errors import SpecificationError, StepFailedError

if TYPE_CHECKING:
    from pathlib import Path


class Recorder:
    """A client that runs nothing."""

    def __init__(self) -> None:
        self.requests: list[JobRequest] = []

    def submit(self, request: JobRequest) -> JobHandle:
        self.requests.append(request)
        return LocalClient().submit(JobRequest("nothing", lambda: None))


def test_a_function_runs_in_a_thread_of_this_program() -> None:
    seen: list[int] = []
    handle = submit(JobRequest("job", lambda: seen.append(threading.get_ident())))
    assert handle.wait() is JobStatus.SUCCEEDED
    assert handle.status() is JobStatus.SUCCEEDED
    assert seen != [threading.get_ident()]


def test_a_job_can_be_asked_how_it_stands() -> None:
    go_on = threading.Event()
    handle = LocalClient().submit(JobRequest("job", lambda: go_on.wait(30)))
    assert not handle.status().is_finished
    go_on.set()
    assert handle.wait().is_finished


def test_a_function_that_raises_is_a_failed_job() -> None:
    handle = submit(JobRequest("divide", lambda: 1 / 0))
    assert handle.wait(raise_on_failure=False) is JobStatus.FAILED
    with pytest.raises(StepFailedError, match="the job `divide` failed: ZeroDivision") as caught:
        handle.wait()
    assert isinstance(caught.value.__cause__, ZeroDivisionError)


def test_a_command_runs_as_a_process(tmp_path: Path) -> None:
    words = ["bash", "-c", f'echo "$GREETING" > {tmp_path}/out']
    submit(JobRequest("echo", words, env_vars={"GREETING": "hello"})).wait()  # type: ignore[arg-type]
    assert (tmp_path / "out").read_text() == "hello\n"
    assert "GREETING" not in os.environ


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("bash", "-c", "exit 3"), "exit code 3"),
        (("bash", "-c", "kill -9 $$"), "exit code 137"),
        (("/no/such/program",), "cannot run `/no/such/program`"),
    ],
)
def test_a_command_that_fails_says_how(words: tuple[str, ...], says: str) -> None:
    handle = submit(JobRequest("job", words))
    assert handle.wait(raise_on_failure=False) is JobStatus.FAILED
    with pytest.raises(StepFailedError, match=says):
        handle.wait()


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
        go_on.wait(30)
        assert os.environ["SHARED"] == "1"

    one = submit(JobRequest("one", first, env_vars={"SHARED": "1"}))
    assert inside.wait(30)
    same = submit(JobRequest("same", lambda: None, env_vars={"SHARED": "1"}))
    assert same.wait() is JobStatus.SUCCEEDED
    other = submit(JobRequest("other", lambda: None, env_vars={"SHARED": "2"}))
    with pytest.raises(StepFailedError, match="set `SHARED` to different values"):
        other.wait()
    go_on.set()
    assert one.wait() is JobStatus.SUCCEEDED
    assert "SHARED" not in os.environ


def test_the_client_in_force_gets_the_jobs_of_all_threads() -> None:
    recorder = Recorder()
    request = JobRequest("job", lambda: None)
    with set_current_client(recorder) as client:
        assert client is recorder
        thread = threading.Thread(target=submit, args=(request,))
        thread.start()
        thread.join()
    assert recorder.requests == [request]
    assert isinstance(current_client(), LocalClient)


def test_a_client_stays_in_force_until_another_is_set() -> None:
    recorder: Client = Recorder()
    set_current_client(recorder)
    assert current_client() is recorder
    set_current_client(None)
    assert isinstance(current_client(), LocalClient)


def test_a_request_is_a_value() -> None:
    request = JobRequest("job", ("true",), env_vars={"A": "1"}, pip_dependency_groups=("gpu",))
    assert request == JobRequest("job", ("true",), ResourceConfig(), {"A": "1"}, ("gpu",))
    with pytest.raises(FrozenInstanceError):
        request.name = "other"  # type: ignore[misc]


@pytest.mark.parametrize("entrypoint", [(), "echo hello", 3, ("a", 1)])
def test_what_cannot_be_run_is_refused(entrypoint: object) -> None:
    with pytest.raises(SpecificationError, match="neither a function nor a command"):
        JobRequest("job", entrypoint)  # type: ignore[arg-type]
    with pytest.raises(SpecificationError, match="needs a name"):
        JobRequest("", lambda: None)
