"""Jobs that were submitted: their states, how to wait for them, and how they fail."""

from __future__ import annotations

import time
from enum import StrEnum
from typing import TYPE_CHECKING, Protocol

from marin_build.errors import StepFailedError
from marin_build.pauses import doubled

if TYPE_CHECKING:
    from collections.abc import Sequence


class JobStatus(StrEnum):
    """The state of a job."""

    PENDING = "pending"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    STOPPED = "stopped"

    @staticmethod
    def finished(status: JobStatus) -> bool:
        """Return whether a state will not change any more."""
        return status not in (JobStatus.PENDING, JobStatus.RUNNING)


class JobHandle(Protocol):
    """A job that was submitted."""

    @property
    def job_id(self) -> str:
        """The name that no other job of its client has."""

    def status(self) -> JobStatus:
        """Return where it stands now."""

    def wait(self, timeout: float | None = None, *, raise_on_failure: bool = True) -> JobStatus:
        """Wait until it is finished.

        Args:
            timeout: seconds to wait at most; None: without end.
            raise_on_failure: raise what went wrong; otherwise the state is returned, after
                `timeout` seconds also that of a job that goes on.

        Raises:
            TimeoutError: it is not finished yet.
            StepFailedError: it did not succeed. A job of this program raises its own exception.

        """

    def terminate(self) -> None:
        """End it, as far as that can be done, without waiting for its end."""


class JobFailed(StepFailedError):  # noqa: N818 - Marin's name for it
    """A job that failed or was stopped.

    Attributes:
        job_id: which job.
        failed_status: how it ended.

    """

    def __init__(self, job_id: str, status: JobStatus) -> None:
        super().__init__(f"the job `{job_id}` finished with status {status}")
        self.job_id = job_id
        self.failed_status = status


class JobAlreadyExists(StepFailedError):  # noqa: N818 - Marin's name for it
    """A name that a job of the same client has already.

    Attributes:
        job_name: the name.
        handle: that job, which may be waited for instead; None if it cannot be had.

    """

    def __init__(self, job_name: str, handle: JobHandle | None = None) -> None:
        super().__init__(f"there is a job `{job_name}` already")
        self.job_name = job_name
        self.handle = handle


_FIRST_PAUSE, _LONGEST_PAUSE = 0.05, 2.0
"""Seconds between two looks at jobs that are waited for."""


def wait_all(
    jobs: Sequence[JobHandle], *, timeout: float | None = None, raise_on_failure: bool = True
) -> list[JobStatus]:
    """Wait until all jobs are finished; return their states, in the order of the jobs.

    Args:
        jobs: what is waited for.
        timeout: seconds to wait at most; None: without end.
        raise_on_failure: raise as soon as one of them did not succeed.

    Raises:
        JobFailed: one of them failed or was stopped; the others go on.
        TimeoutError: some are not finished yet.

    """
    found: list[JobStatus | None] = [None] * len(jobs)
    ends = None if timeout is None else time.monotonic() + timeout
    looks = 0
    while True:
        for index, job in enumerate(jobs):
            if found[index] is None and JobStatus.finished(status := job.status()):
                if raise_on_failure and status != JobStatus.SUCCEEDED:
                    raise JobFailed(job.job_id, status)
                found[index] = status
        going_on = found.count(None)
        if not going_on:
            return [status for status in found if status is not None]
        looks += 1
        pause = doubled(looks, _FIRST_PAUSE, _LONGEST_PAUSE)
        if ends is not None:
            left = ends - time.monotonic()
            if left <= 0:
                raise TimeoutError(f"{going_on} job(s) are not finished after {timeout} s")
            pause = min(pause, left)
        time.sleep(pause)
