"""podman or docker, called as a queue: a container is a job, its name a mutex."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from typing import TYPE_CHECKING, Any

from marin_build.engines.jobs import JobQueue, JobRefusedError, JobState, Phase, QueueAwayError
from marin_build.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from marin_build.engines.jobs import JobRequest

_PATIENCE = 120.0
"""Seconds that one call may take: an image may be pulled first."""
_NAME_IS_TAKEN = 125
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
        self._call([self._runtime, "version", "--format", "json"])

    def find(self, names: Collection[str]) -> dict[str, str]:
        """Return the names of the containers that run; what has ended is removed."""
        found = {}
        for name, state in self._listed().items():
            if name in names:
                if state.phase is Phase.ENDED:
                    self._remove(name)
                else:
                    found[name] = name
        return found

    def submit(self, job: JobRequest) -> str:
        """Start a container by its script; return its name, which is its id for us."""
        done = self._run(["bash", "-s"], text=job.spec)
        if done.returncode == _NAME_IS_TAKEN and f'"{job.name}"' in done.stderr:
            raise QueueAwayError(f"a container named {job.name} is there already")
        if done.returncode:
            raise JobRefusedError(f"{self._runtime} refuses it: {_last_line(done.stderr)}")
        return job.name

    def poll(self, jobs: Mapping[str, str]) -> dict[str, JobState]:
        """Return the states of containers."""
        listed = self._listed()
        gone = JobState(Phase.ENDED, "the container was removed", "infra")
        return {id_: listed.get(id_, gone) for id_ in jobs}

    def cancel(self, ids: Collection[str], *, kill: bool) -> None:
        """Ask containers to end, or kill them."""
        for id_ in ids:
            self._killed.add(id_)
            self._run([self._runtime, "kill", "--signal", "KILL" if kill else "TERM", id_])

    def forget(self, job_id: str) -> None:
        """Remove a container."""
        self._remove(job_id)

    def output_of(self, job_id: str) -> str:
        """Return a file with what a container printed."""
        path = os.path.join(self._logs, f"{job_id}.log")
        done = self._run([self._runtime, "logs", job_id])
        if done.returncode == 0:
            os.makedirs(self._logs, exist_ok=True)
            with open(path, "w", encoding="utf-8") as stream:
                stream.write(done.stdout + done.stderr)
        return path if os.path.exists(path) else ""

    def _listed(self) -> dict[str, JobState]:
        """Return the state of every container of ours, by name."""
        words = [self._runtime, "ps", "--all", "--filter", "label=marin-build", "--format"]
        text = self._call([*words, "json" if self._runtime == "podman" else "{{json .}}"])
        if self._runtime == "podman":
            rows = json.loads(text or "[]")
        else:
            rows = [json.loads(line) for line in text.splitlines()]
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
        # The kernel's mark of a lack of memory is not always there: what we did not kill was.
        is_oom = code == _KILLED and name not in self._killed
        return JobState(Phase.ENDED, f"exit code {code}", "oom" if is_oom else None)

    def _remove(self, name: str) -> None:
        self._run([self._runtime, "rm", "--force", name])

    def _call(self, words: Sequence[str]) -> str:
        done = self._run(words)
        if done.returncode:
            raise QueueAwayError(f"{self._runtime} gives no answer: {_last_line(done.stderr)}")
        return done.stdout

    def _run(self, words: Sequence[str], text: str = "") -> subprocess.CompletedProcess[str]:
        try:
            return subprocess.run(
                words,
                input=text,
                capture_output=True,
                text=True,
                timeout=_PATIENCE,
                check=False,
                cwd=self._project,
            )
        except subprocess.TimeoutExpired:
            raise QueueAwayError(f"`{words[0]}` gave no answer in {_PATIENCE:g} s") from None


def _last_line(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1] if lines else "it gave no reason"
