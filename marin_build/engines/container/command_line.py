"""podman or docker, called as a queue: a container is a job, its name a mutex."""

from __future__ import annotations

import json
import os
import shutil
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from marin_build.engines.jobs import JobQueue, JobRefusedError, JobState, Phase, QueueAwayError
from marin_build.engines.programs import answer_of
from marin_build.errors import UsageError
from marin_build.workspace.own_files import open_own
from marin_build.workspace.workspace import PROJECT_VARIABLE

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Collection, Mapping

    from marin_build.engines.jobs import JobRequest

_PATIENCE = 120.0
"""Seconds that one call may take."""
_PATIENCE_AT_FIRST = 15.0
_PATIENCE_WITH_IMAGE = 4 * 3600.0
"""Seconds that a start may take: images of tens of gigabytes are pulled first."""
_PATIENCE_WITH_END = 10.0
"""Seconds that a container may run after the store said how its step ended."""
_KILLED = 137
_RUNS = {"running", "paused", "stopping", "removing", "restarting"}
_WAITS = {"created", "configured", "initialized"}


class ContainerQueue(JobQueue):
    """The containers of this user on this machine.

    Args:
        runtime: `podman` or `docker`.
        project: the folder that scripts are started in.
        logs: the local folder that takes what containers print outside their steps.
        poll_every: see JobQueue.

    """

    def __init__(self, runtime: str, project: str, logs: str, poll_every: float) -> None:
        self.poll_every = poll_every
        self._runtime, self._project, self._logs = runtime, project, logs
        self._killed: set[str] = set()

    def check(self) -> None:
        """Raise a MarinBuildError if no container can be run here."""
        if shutil.which(self._runtime) is None:
            raise UsageError(
                f"`{self._runtime}` is not installed here",
                consequence="nothing was run",
                hint="install podman or docker, or leave out --engine container",
            )
        self._call("version", "--format", "json", patience=_PATIENCE_AT_FIRST)

    def find(self, names: Collection[str]) -> dict[str, str]:
        """Return the names of the containers that run; what has ended is removed.

        A client that was killed leaves a container that was never started: that is done now.
        """
        found = {}
        for name, state in self._listed().items():
            if name not in names:
                continue
            runs = state.phase is Phase.RUNNING
            if runs or (state.phase is Phase.QUEUED and self._run("start", name).returncode == 0):
                found[name] = name
            else:
                self._remove(name)
        return found

    def look(self, names: Collection[str]) -> dict[str, tuple[str, JobState]]:
        """Return the containers of those names that run, or wait for their start."""
        return {
            name: (name, state)
            for name, state in self._listed().items()
            if name in names and state.phase is not Phase.ENDED
        }

    def submit(self, job: JobRequest) -> str:
        """Start a container by its script; return its name, which is its id for us."""
        done = answer_of(
            ["bash", "-s"],
            text=job.spec,
            patience=_PATIENCE_WITH_IMAGE,
            folder=self._project,
            environ={**os.environ, PROJECT_VARIABLE: self._project},
            hears_terminal=True,  # Ctrl-C need not wait for an image
        )
        if done.returncode == 0:
            return job.name
        if "already in use" in done.stderr and job.name in done.stderr:
            raise QueueAwayError(f"a container named {job.name} is there already")
        self._remove(job.name)  # what could not be started is kept, and would count as waiting
        raise JobRefusedError(f"{self._runtime} refuses it: {_last_line(done.stderr)}")

    def poll(self, jobs: Mapping[str, str]) -> dict[str, JobState]:
        """Return the states of containers."""
        listed = self._listed()
        gone = JobState(Phase.ENDED, "the container was removed", "infra")
        return {id_: listed.get(id_, gone) for id_ in jobs}

    def cancel(self, jobs: Mapping[str, str], *, kill: bool) -> None:
        """Ask containers to end, or kill them."""
        for id_ in jobs:
            self._killed.add(id_)
            self._run("kill", "--signal", "KILL" if kill else "TERM", id_)

    def forget(self, job_id: str) -> None:
        """Remove a container, after its own end: it may still be flushing what it wrote."""
        with suppress(QueueAwayError):
            self._run("wait", job_id, patience=_PATIENCE_WITH_END)
        self._remove(job_id)

    def output_of(self, job_id: str) -> str:
        """Return a file with what a container printed."""
        path = os.path.join(self._logs, f"{job_id}.log")
        done = self._run("logs", job_id)
        if done.returncode == 0:
            with suppress(OSError):  # the outcome counts, with or without these words
                os.makedirs(self._logs, exist_ok=True)
                descriptor = open_own(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
                with open(descriptor, "w", encoding="utf-8") as stream:
                    stream.write(done.stdout + done.stderr)
        return path if os.path.exists(path) else ""

    def _listed(self) -> dict[str, JobState]:
        """Return the state of every container of ours, by name."""
        is_podman = self._runtime == "podman"
        how = "json" if is_podman else "{{json .}}"
        text = self._call("ps", "--all", "--filter", "label=marin-build", "--format", how)
        try:
            lines = [text] if is_podman else text.split("\n")
            read = [json.loads(line) for line in lines if line.strip()]
        except ValueError:
            raise QueueAwayError(f"{self._runtime} lists containers in no JSON") from None
        rows = read[0] if is_podman and read else read
        found = {}
        for row in rows:
            names = row["Names"]
            name = names[0] if isinstance(names, list) else names
            found[name] = self._state(name, row)
        return found

    def _state(self, name: str, row: Mapping[str, Any]) -> JobState:
        """Return what a row says; the exit code of the program stands in its own records."""
        state = str(row["State"]).lower()
        if state in _RUNS:
            return JobState(Phase.RUNNING, state)
        if state in _WAITS:
            return JobState(Phase.QUEUED, state)
        code = row.get("ExitCode")
        if code is None:  # docker has it in words only: `Exited (137) 2 seconds ago`
            code = int(str(row["Status"]).partition("(")[2].partition(")")[0] or 0)
        if code != _KILLED or name in self._killed:
            return JobState(Phase.ENDED, f"exit code {code}")
        # Its first process was killed. A step that was alone killed says so itself.
        told = self._run("inspect", "--format", "{{.State.OOMKilled}}", name).stdout.strip()
        if told == "true":
            return JobState(Phase.ENDED, f"exit code {code}", "oom")
        return JobState(Phase.ENDED, "the container was killed", "infra")

    def _remove(self, name: str) -> None:
        self._run("rm", "--force", name)

    def _call(self, *words: str, patience: float = _PATIENCE) -> str:
        done = self._run(*words, patience=patience)
        if done.returncode:
            raise QueueAwayError(f"{self._runtime} gives no answer: {_last_line(done.stderr)}")
        return done.stdout

    def _run(self, *words: str, patience: float = _PATIENCE) -> subprocess.CompletedProcess[str]:
        return answer_of([self._runtime, *words], patience=patience)


def _last_line(text: str) -> str:
    """Return the last line that says what is wrong; docker ends with where to get help."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    told = [line for line in lines if not line.startswith(("See '", "Run '"))]
    return told[-1] if told else "it gave no reason"
