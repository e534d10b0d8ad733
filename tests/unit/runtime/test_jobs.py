"""Waiting for many jobs, of whatever client."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest

from marin_build import JobStatus, wait_all
from marin_build.runtime.jobs import JobAlreadyExists, JobFailed

RUNNING, SUCCEEDED, FAILED = JobStatus.RUNNING, JobStatus.SUCCEEDED, JobStatus.FAILED


@dataclass
class Job:
    """A job that stands where a list says, look by look."""

    job_id: str
    states: list[JobStatus] = field(default_factory=list)

    def status(self) -> JobStatus:
        return self.states.pop(0) if len(self.states) > 1 else self.states[0]

    def wait(self, timeout: float | None = None, *, raise_on_failure: bool = True) -> JobStatus:
        raise AssertionError(timeout, raise_on_failure)

    def terminate(self) -> None:
        raise AssertionError


@pytest.fixture(autouse=True)
def slept(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The pauses between the looks; nothing sleeps."""
    pauses: list[float] = []
    monkeypatch.setattr("marin_build.runtime.jobs.time.sleep", pauses.append)
    return pauses


def test_all_are_waited_for_and_told_in_their_order(slept: list[float]) -> None:
    jobs = [Job("a", [RUNNING, RUNNING, SUCCEEDED]), Job("b", [RUNNING, SUCCEEDED])]
    assert wait_all(jobs) == [SUCCEEDED, SUCCEEDED]
    assert slept == [0.05, 0.1]
    assert wait_all([]) == []


def test_the_first_failure_is_raised_while_others_go_on() -> None:
    """Else a program waits for days for jobs that have no use without the one that failed."""
    jobs = [Job("a", [RUNNING]), Job("b", [FAILED])]
    with pytest.raises(RuntimeError, match="`b` finished with status failed") as caught:
        wait_all(jobs)
    assert isinstance(caught.value, JobFailed)
    assert (caught.value.job_id, caught.value.failed_status) == ("b", FAILED)
    jobs[0].states = [JobStatus.STOPPED]
    assert wait_all(jobs, raise_on_failure=False) == [JobStatus.STOPPED, FAILED]


def test_waiting_ends_after_a_while() -> None:
    with pytest.raises(TimeoutError, match=r"1 job\(s\) are not finished after 0 s"):
        wait_all([Job("a", [RUNNING]), Job("b", [SUCCEEDED])], timeout=0)


def test_states_are_texts_that_say_whether_they_are_final() -> None:
    assert [status for status in JobStatus if not JobStatus.finished(status)] == [
        "pending",
        "running",
    ]


def test_a_name_that_is_in_use_says_who_uses_it() -> None:
    job = Job("a", [RUNNING])
    error = JobAlreadyExists("train", job)
    assert (error.job_name, error.handle) == ("train", job)
    assert "`train`" in str(error)
