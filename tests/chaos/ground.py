"""Where a round happens: a project, a folder or bucket for its outputs, and the runs there."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import time
import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tests.e2e.support import MARKER, OUTPUTS, PROGRAM, Project
from tests.servers.faults import Fault

from .work import PIPELINE, SCRIPT, steps_module

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from tests.servers.gcs import GcsServer

    from .schedule import Schedule

BUCKET = "outputs"
_PROFILE = '[profiles.documents]\nlease_by = "documents"\n'


@dataclass(slots=True)
class Run:
    """A run that was started, in a process group of its own."""

    process: subprocess.Popen[bytes]
    marker: str
    way: str
    frozen: bool = False
    """Whether any process of it was ever frozen."""

    @property
    def is_over(self) -> bool:
        """Whether the process that was started has ended."""
        return self.process.poll() is not None


class Ground:
    """A project and what is in it.

    Args:
        schedule: the round.
        project: an empty one.
        folder: for what is noted outside of it.
        server: serves the bucket of the outputs; None: they lie in the project.

    """

    def __init__(
        self, schedule: Schedule, project: Project, folder: Path, server: GcsServer | None
    ) -> None:
        self._schedule, self._project = schedule, project
        self._folder, self._server = folder, server
        self.runs: list[Run] = []
        self._targets: dict[str, str] = {}
        """Step -> its output, relative to the prefix."""

    def set_up(self) -> None:
        """Write the project, and plan it once."""
        project, schedule = self._project, self._schedule
        (self._folder / "locks").mkdir()
        os.mkfifo(self._folder / "never")
        (self._folder / "work.sh").write_text(SCRIPT)
        project.environment["CHAOS"] = str(self._folder)
        project.write("marin-build.toml", f"lease = {schedule.lease}\n{_PROFILE}")
        project.write("steps.py", steps_module(schedule.steps))
        project.pipeline(PIPELINE)
        if self._server is not None:
            project.build_in_bucket(self._server.url, f"gs://{BUCKET}/run")
            if share := schedule.faults:
                faults = self._server.faults
                faults.add(Fault(503, holds=".executor", share=share, seed=schedule.seed))
                faults.add(Fault("reply", holds=".executor", share=share, seed=schedule.seed + 1))
        if {"run.sh", "make"} & {*schedule.ways}:
            self._run("plan", "-o", "saved")
        decisions = json.loads(self._run("plan", "--json"))["decisions"]
        self._targets = {decision["name"]: decision["target"] for decision in decisions}

    def _run(self, *args: str) -> str:
        done = self._project.execute([PROGRAM, *args])
        assert done.code == 0, done
        return done.out

    def start(self, way: str) -> Run:
        """Start a run, in a process group of its own; what it prints goes to a file."""
        match way:
            case "run.sh":
                command = ["bash", "saved/run.sh"]
            case "make":
                command = ["make", "-j2", "-f", "saved/Makefile"]
            case "documents":
                command = [str(PROGRAM), "apply", "-j", "3", "--profile", "documents"]
            case isolation:
                command = [str(PROGRAM), "apply", "-j", "3", "--isolation", isolation]
        marker = uuid.uuid4().hex
        with (self._folder / f"run-{len(self.runs):02}-{way}.txt").open("wb") as output:
            process = subprocess.Popen(
                command,
                cwd=self._project.root,
                env={**self._project.environ(), MARKER: marker},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                process_group=0,
            )
        run = Run(process, marker, way)
        self.say(f"run {len(self.runs)}: {way}, pid {process.pid}")
        self.runs.append(run)
        return run

    def unlock(self, step: str) -> bool:
        """Kill what a dead holder has left running, as a person would; return whether it did."""
        done = self._project.execute([PROGRAM, "unlock", step, "--kill"])
        self.say(f"unlock {step}: {done.code} {done.out.strip()} {done.err.strip()}")
        return "killed" in done.out

    def end_faults(self) -> None:
        """Let the store be well."""
        if self._server is not None:
            self._server.faults.clear()

    def notes(self) -> str:
        """Return what executions noted."""
        path = self._folder / "notes"
        return path.read_text() if path.exists() else ""

    def bytes_said(self) -> int:
        """Return how much runs and executions have written so far: more means that they go on."""
        files = [*self._folder.glob("run-*.txt"), *self._folder.glob("notes")]
        return sum(path.stat().st_size for path in files)

    def say(self, text: str) -> None:
        """Tell the story of the round, for people who look for the cause of a violation."""
        stamp = time.clock_gettime(time.CLOCK_BOOTTIME)
        with (self._folder / "story.txt").open("a") as story:
            story.write(f"{stamp:.2f} {text}\n")

    def is_committed(self, step: str) -> bool:
        """Return whether a target is sealed or built."""
        lease = self.read(step, ".executor_status.lock")
        return " seal=" in lease or self.read(step, ".executor_status") == "SUCCESS"

    def read(self, step: str, name: str) -> str:
        """Return the text of one of our files beside an output; nothing if it is not there."""
        path = f"{self._targets[step]}/{name}"
        if self._server is not None:
            found = self._server.api.buckets.objects(BUCKET).get(f"run/{path}")
            return found.data.decode() if found is not None else ""
        try:
            return (self._project.root / OUTPUTS / path).read_text()
        except OSError:
            return ""

    def output(self, step: str) -> Mapping[str, str]:
        """Return the files of an output; those of a bucket are in parts."""
        target = self._targets[step]
        if self._server is not None:
            prefix, files = f"run/{target}/", dict[str, str]()
            for name, stored in sorted(dict(self._server.api.buckets.objects(BUCKET)).items()):
                path = name.removeprefix(prefix)
                if path != name and not path.startswith("."):
                    file = path.rpartition("/")[0]
                    files[file] = files.get(file, "") + stored.data.decode()
            return files
        folder = self._project.root / OUTPUTS / target
        with contextlib.suppress(OSError):
            return {
                path.name: path.read_text()
                for path in folder.iterdir()
                if not path.name.startswith(".")
            }
        return {}
