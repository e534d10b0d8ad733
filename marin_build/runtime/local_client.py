"""LocalClient: jobs on this machine, functions in threads and commands as processes."""

from __future__ import annotations

import os
import subprocess
import threading
from collections import deque
from contextvars import copy_context
from typing import TYPE_CHECKING

from marin_build.errors import StepFailedError
from marin_build.runtime.jobs import JobFailed, JobStatus
from marin_build.runtime.process_environment import ENVIRONMENT

if TYPE_CHECKING:
    from collections.abc import Mapping

    from marin_build.runtime.job_request import JobRequest


class LocalClient:
    """Runs jobs on this machine: functions in threads, commands as processes.

    Resources are not limited. The threads of a program share one environment: the variables of a
    function are there for the whole program while it runs. A job sees the context variables of
    the program that submitted it, the current client too.

    Args:
        max_threads: jobs that run at once; the others wait for their turn.

    """

    def __init__(self, max_threads: int = 8) -> None:
        self._lock = threading.Lock()
        self._free = max_threads
        self._waiting: deque[LocalJob] = deque()
        self._unfinished: set[LocalJob] = set()
        self._is_shut_down = False

    def submit(self, request: JobRequest, adopt_existing: bool = True) -> LocalJob:  # noqa: ARG002
        """Start a job, or let it wait for its turn.

        Args:
            request: what is run.
            adopt_existing: without meaning here: many jobs may have one name.

        Raises:
            StepFailedError: the client is shut down; a RuntimeError.

        """
        job = LocalJob(request)
        with self._lock:
            if self._is_shut_down:
                raise StepFailedError(f"cannot run `{request.name}`: its client is shut down")
            self._waiting.append(job)
            self._unfinished.add(job)
            is_free = self._free > 0
            if is_free:
                self._free -= 1
        if is_free:
            # A program that ends does not wait for its jobs: their leases are stale at once.
            threading.Thread(target=self._run_waiting, name=request.name, daemon=True).start()
        return job

    def shutdown(self, wait: bool = True) -> None:
        """Take no further job; `wait`: return when all that were submitted have ended."""
        with self._lock:
            self._is_shut_down = True
            unfinished = list(self._unfinished)
        for job in unfinished if wait else ():
            job.wait(raise_on_failure=False)

    def _run_waiting(self) -> None:
        while True:
            with self._lock:
                if not self._waiting:
                    self._free += 1
                    return
                job = self._waiting.popleft()
            job.run()
            with self._lock:
                self._unfinished.discard(job)


class LocalJob:
    """A job on this machine."""

    def __init__(self, request: JobRequest) -> None:
        self.job_id = f"local-{request.name}-{os.urandom(4).hex()}"
        self._request = request
        self._context = copy_context()
        self._status = JobStatus.PENDING
        self._error: BaseException | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._is_told_to_stop = False
        self._lock = threading.Lock()
        self._done = threading.Event()

    def status(self) -> JobStatus:
        """Return where it stands now."""
        return self._status

    def wait(self, timeout: float | None = None, *, raise_on_failure: bool = True) -> JobStatus:
        """Wait until it is finished.

        Args:
            timeout: seconds to wait at most; None: without end.
            raise_on_failure: raise what went wrong; otherwise the state is returned.

        Raises:
            Exception: what its function raised, itself.
            StepFailedError: its function or its command ended with an exit code.
            JobFailed: it was stopped before it ended.
            TimeoutError: it is not finished yet.

        """
        is_done = self._done.wait(timeout)
        if not raise_on_failure:
            return self._status
        if not is_done:
            raise TimeoutError(f"the job `{self.job_id}` is not finished after {timeout} s")
        if isinstance(self._error, SystemExit):
            what = f"the job `{self._request.name}` failed: exit code {self._error.code}"
            raise StepFailedError(what) from self._error
        if self._error is not None:
            raise self._error
        return self._status

    def terminate(self) -> None:
        """End a command; a job that waits is not begun. A function goes on until it returns."""
        with self._lock:
            self._is_told_to_stop = True
            if self._process is not None:
                self._process.terminate()
            if not JobStatus.finished(self._status):
                is_waiting = self._status is JobStatus.PENDING
                self._status = JobStatus.STOPPED
                if is_waiting:
                    self._end(JobFailed(self.job_id, JobStatus.STOPPED))

    def run(self) -> None:
        """Do the work, in a thread of the client."""
        with self._lock:
            if self._is_told_to_stop:
                return
            self._status = JobStatus.RUNNING
        raised: BaseException | None = None
        try:
            self._context.run(self._work)
        except BaseException as error:  # noqa: BLE001 - `wait` raises it again
            error.add_note(f"raised by the job `{self._request.name}`")
            raised = error
        with self._lock:
            self._end(raised)

    def _work(self) -> None:
        work, env_vars = self._request.work, self._request.env_vars
        if callable(work):
            with ENVIRONMENT.holding(env_vars):
                work()
            return
        with start_command(work, env_vars) as process:
            with self._lock:
                self._process = process
                if self._is_told_to_stop:
                    process.terminate()
            end_as(process.wait())

    def _end(self, error: BaseException | None) -> None:
        """Say how it ended, under the lock."""
        self._error = error
        if self._status is not JobStatus.STOPPED:
            self._status = JobStatus.SUCCEEDED if error is None else JobStatus.FAILED
        self._done.set()


def start_command(words: tuple[str, ...], env_vars: Mapping[str, str]) -> subprocess.Popen[bytes]:
    """Start a command, with environment variables besides those of this program.

    Raises:
        StepFailedError: there is no such program.

    """
    try:
        return subprocess.Popen(words, env={**os.environ, **env_vars})
    except OSError as error:
        raise StepFailedError(
            f"cannot run `{words[0]}`: {(error.strerror or '').lower()}"
        ) from None


def end_as(returncode: int) -> None:
    """Raise a failure of a process as the exit code of a program.

    Args:
        returncode: as `subprocess` says it: below 0 for a process that a signal killed.

    Raises:
        SystemExit: it failed.

    """
    if returncode:
        raise SystemExit(returncode if returncode > 0 else 128 - returncode)


def run_command(words: tuple[str, ...], env_vars: Mapping[str, str]) -> None:
    """Run a command; a failure is raised as the exit code of a program.

    Raises:
        StepFailedError: there is no such program.
        SystemExit: it failed.

    """
    with start_command(words, env_vars) as process:
        end_as(process.wait())
