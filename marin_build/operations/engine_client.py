"""`EngineClient`: an engine runs the functions that a program submits, as it builds steps.

Each job is a step of a pipeline of its own, which an `apply` in another process builds. So it has
all that steps have: a lease, a log, an engine's templates and queue, and no second run at once.
"""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from typing import TYPE_CHECKING, Any

from marin_build.errors import StepFailedError
from marin_build.operations.config import load_settings
from marin_build.operations.sent_calls import send_call
from marin_build.runtime.clients import JobStatus
from marin_build.workspace.workspace import current_workspace

if TYPE_CHECKING:
    from marin_build.runtime.clients import JobRequest


_PIPELINE = "marin_build.operations.called_step"
_ENDS = {"step_failed", "step_stopped", "step_interrupted"}
"""The events that say why a step was not built."""


class EngineClient:
    """Runs jobs by an engine: `set_current_client(EngineClient("slurm"))`.

    The engine is configured as for `marin-build apply`, in the project of this program. What a
    function needs must be importable there; functions of the program itself are sent whole.

    Args:
        engine: its name, or rules, as `--engine` takes them.
        profile: a profile of the configuration.

    """

    def __init__(self, engine: str, *, profile: str | None = None) -> None:
        self._engine, self._profile = engine, profile

    def submit(self, request: JobRequest) -> EngineJob:
        """Start a job.

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
        return EngineJob(request.name, words, workspace.project)


class EngineJob:
    """A job of an engine.

    If this program is killed, the job goes on; if it is interrupted, so is the job.

    Args:
        name: for people.
        words: the command line of the `apply` that builds its step.
        project: the folder in which it is started.

    """

    def __init__(self, name: str, words: list[str], project: str) -> None:
        self._name = name
        self._status = JobStatus.PENDING
        self._failure: StepFailedError | None = None
        self._process = subprocess.Popen(
            words, cwd=project, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        self._follower = threading.Thread(target=self._follow, name=name, daemon=True)
        self._follower.start()

    def status(self) -> JobStatus:
        """Return where it stands now."""
        return self._status

    def wait(self, raise_on_failure: bool = True) -> JobStatus:
        """Wait until it is finished.

        Raises:
            StepFailedError: it did not succeed, and `raise_on_failure` is true.

        """
        self._follower.join()
        if raise_on_failure and self._failure is not None:
            raise self._failure
        return self._status

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
        is_cut_short = last.get("event") == "step_interrupted"
        self._status = JobStatus.STOPPED if is_cut_short else JobStatus.FAILED
