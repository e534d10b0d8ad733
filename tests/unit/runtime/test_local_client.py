"""Jobs on this machine: functions and commands, how they end, and how they are ended."""

from __future__ import annotations

import os
import threading
from contextvars import ContextVar
from typing import TYPE_CHECKING

import pytest

from marin_build import JobRequest, JobStatus, LocalClient, submit
from marin_build.errors import StepFailedError
from marin_build.runtime.jobs import JobFailed

if TYPE_CHECKING:
    from pathlib import Path

    from marin_build import JobHandle

LONG = 240.0
"""Seconds that no test waits."""


class Held:
    """A function that runs until it is let go."""

    def __init__(self) -> None:
        self.began, self.go_on = threading.Event(), threading.Event()

    def __call__(self) -> None:
        self.began.set()
        assert self.go_on.wait(LONG)


def test_a_function_runs_in_a_thread_of_this_program() -> None:
    seen: list[int] = []
    handle = submit(JobRequest("job", lambda: seen.append(threading.get_ident())))
    assert handle.wait() is JobStatus.SUCCEEDED
    assert handle.status() is JobStatus.SUCCEEDED
    assert seen != [threading.get_ident()]
    assert handle.job_id.startswith("local-job-")


_who: ContextVar[str] = ContextVar("who", default="nobody")


def test_a_job_sees_the_context_of_who_submitted_it() -> None:
    seen: list[str] = []
    token = _who.set("the caller")
    handle = LocalClient().submit(JobRequest("job", lambda: seen.append(_who.get())))
    _who.reset(token)
    handle.wait()
    assert seen == ["the caller"]


def test_a_job_can_be_waited_for_a_while() -> None:
    held = Held()
    handle = LocalClient().submit(JobRequest("job", held))
    assert held.began.wait(LONG)
    with pytest.raises(TimeoutError, match="is not finished after 0"):
        handle.wait(0)
    assert handle.wait(0, raise_on_failure=False) is JobStatus.RUNNING
    held.go_on.set()
    assert handle.wait(LONG) is JobStatus.SUCCEEDED


def test_a_function_that_raises_is_a_failed_job_and_its_own_exception_is_raised() -> None:
    """Else `except ZeroDivisionError` around a call does not hear of it."""
    error = ZeroDivisionError("no")

    def divide() -> None:
        raise error

    handle = submit(JobRequest("divide", divide))
    assert handle.wait(raise_on_failure=False) is JobStatus.FAILED
    with pytest.raises(ZeroDivisionError) as caught:
        handle.wait()
    assert caught.value is error
    assert caught.value.__notes__ == ["raised by the job `divide`"]


def test_a_command_runs_as_a_process(tmp_path: Path) -> None:
    words = ["bash", "-c", f'echo "$GREETING" > {tmp_path}/out']
    submit(JobRequest("echo", words, env_vars={"GREETING": "hello"})).wait()
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


def test_no_more_jobs_run_at_once_than_there_are_threads_and_one_can_be_stopped_before() -> None:
    """Else a hundred submitted functions take the memory of a hundred."""
    held, client, ran = Held(), LocalClient(max_threads=1), list[str]()
    first = client.submit(JobRequest("first", held))
    assert held.began.wait(LONG)
    second = client.submit(JobRequest("second", lambda: ran.append("second")))
    third = client.submit(JobRequest("third", lambda: ran.append("third")))
    assert (second.status(), third.status()) == (JobStatus.PENDING, JobStatus.PENDING)
    second.terminate()
    with pytest.raises(JobFailed, match="finished with status stopped") as caught:
        second.wait(LONG)
    assert (caught.value.job_id, caught.value.failed_status) == (second.job_id, JobStatus.STOPPED)
    assert second.wait(raise_on_failure=False) is JobStatus.STOPPED
    held.go_on.set()
    client.shutdown()
    assert ran == ["third"]
    assert (first.status(), third.status()) == (JobStatus.SUCCEEDED, JobStatus.SUCCEEDED)
    with pytest.raises(RuntimeError, match="is shut down"):
        client.submit(JobRequest("late", lambda: None))


def test_a_function_that_is_told_to_stop_goes_on_to_its_end() -> None:
    held = Held()
    handle: JobHandle = LocalClient().submit(JobRequest("job", held))
    assert held.began.wait(LONG)
    handle.terminate()
    assert handle.status() is JobStatus.STOPPED
    held.go_on.set()
    assert handle.wait(LONG) is JobStatus.STOPPED


def test_a_command_that_is_told_to_stop_ends(tmp_path: Path) -> None:
    """Else a program that gives up leaves processes behind."""
    pipe = tmp_path / "began"
    os.mkfifo(pipe)
    handle = LocalClient().submit(
        JobRequest("job", ("bash", "-c", f"echo > {pipe}; exec sleep 100"))
    )
    pipe.read_text()
    handle.terminate()
    with pytest.raises(StepFailedError, match="exit code 143"):
        handle.wait(LONG)
    assert handle.status() is JobStatus.STOPPED
