"""`EngineClient`: an engine runs the functions that a program submits, as it builds steps.

Each job is a step of a pipeline of its own, which an `apply` in another process builds. So it has
all that steps have: a lease, a log, an engine's templates and queue, and no second run at once.
"""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import threading
from typing import TYPE_CHECKING, Any

from marin_build.errors import StepFailedError
from marin_build.operations.engine_jobs.sent_calls import send_call
from marin_build.operations.loading.config import load_settings
from marin_build.runtime.jobs import JobStatus
from marin_build.workspace.workspace import current_workspace

if TYPE_CHECKING:
    from marin_build.runtime.job_request import JobRequest


_PIPELINE = "marin_build.operations.engine_jobs.called_step"
_ENDS = {"step_failed", "step_stopped", "step_interrupted"}
"""The events that say why a step was not built."""


class EngineClient:
    """Runs jobs by an engine: `with set_current_client(EngineClient("slurm")): ...`.

    The engine is configured as for `marin-build apply`, in the project of this program. What a
    function needs must be importable there; functions of the program itself are sent whole.

    Args:
        engine: its name, or rules, as `--engine` takes them.
        profile: a profile of the configuration.

    """

    def __init__(self, engine: str, *, profile: str | None = None) -> None:
        self._engine, self._profile = engine, profile
        self._jobs: list[EngineJob] = []

    def submit(self, request: JobRequest, adopt_existing: bool = True) -> EngineJob:  # noqa: ARG002
        """Start a job.

        Args:
            request: what is run.
            adopt_existing: without meaning here: every job is one of its own.

        Raises:
            SpecificationError: its function cannot be sent to another process.
            UsageError: the configuration is not readable.
            StoreError: the prefix cannot be written.

        """
        workspace = current_workspace()
        settings = load_settings(workspace.project, self._profile)
        call = send_call(request, workspace, settings.secrets)
        words = [sys.executable, "-m", "marin_build", "apply", "--json", "--engine", self._engine]
        words += ["-f", _PIPELINE, "--set", f"call={call}", "--prefix", workspace.prefix]
        if self._profile is not None:
            words += ["--profile", self._profile]
        job = EngineJob(f"remote/{request.name}-{call[:8]}", request.name, words, workspace.project)
        self._jobs.append(job)
        return job

    def shutdown(self, wait: bool = True) -> None:
        """Return; `wait`: when all jobs have ended."""
        for job in self._jobs if wait else ():
            job.wait(raise_on_failure=False)


class EngineJob:
    """A job of an engine.

    If this program is killed, the job goes on; if it is interrupted, so is the job.

    Args:
        job_id: which one.
        name: for people.
        words: the command line of the `apply` that builds its step.
        project: the folder in which it is started.

    """

    def __init__(self, job_id: str, name: str, words: list[str], project: str) -> None:
        self.job_id = job_id
        self._name = name
        self._status = JobStatus.PENDING
        self._failure: StepFailedError | None = None
        self._is_told_to_stop = False
        self._process = subprocess.Popen(
            words, cwd=project, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        self._follower = threading.Thread(target=self._follow, name=name, daemon=True)
        self._follower.start()

    def status(self) -> JobStatus:
        """Return where it stands now."""
        return self._status

    def wait(self, timeout: float | None = None, *, raise_on_failure: bool = True) -> JobStatus:
        """Wait until it is finished.

        Args:
            timeout: seconds to wait at most; None: without end.
            raise_on_failure: raise what went wrong; otherwise the state is returned.

        Raises:
            StepFailedError: it did not succeed.
            TimeoutError: it is not finished yet.

        """
        self._follower.join(timeout)
        if not raise_on_failure:
            return self._status
        if self._follower.is_alive():
            raise TimeoutError(f"the job `{self._name}` is not finished after {timeout} s")
        if self._failure is not None:
            raise self._failure
        return self._status

    def terminate(self) -> None:
        """Interrupt the `apply` that follows it: the engine's job is cancelled."""
        self._is_told_to_stop = True
        self._process.send_signal(signal.SIGINT)

    def _follow(self) -> None:
        """Read the events of `apply` to its end."""
        last: dict[str, Any] = {}
        said: list[str] = []
        with self._process as process:
            out, err = process.stdout, process.stderr
            assert out is not None
            assert err is not None
            reader = threading.Thread(target=lambda: said.extend(err), daemon=True)
            reader.start()
            for line in out:
                event = json.loads(line)
                if event["event"] in _ENDS:
                    last = event
                elif event["event"] == "job_moved" and event["phase"] == "running":
                    self._status = JobStatus.RUNNING
            reader.join()
        if process.returncode == 0:
            self._status = JobStatus.SUCCEEDED
            return
        message = last.get("message") or "".join(said).strip() or f"exit code {process.returncode}"
        facts = [(key, str(last[key])) for key in ("target", "log") if last.get(key)]
        self._failure = StepFailedError(f"the job `{self._name}` failed: {message}", facts=facts)
        is_cut_short = self._is_told_to_stop or last.get("event") == "step_interrupted"
        self._status = JobStatus.STOPPED if is_cut_short else JobStatus.FAILED
