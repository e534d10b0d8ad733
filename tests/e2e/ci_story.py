"""A repository with a workflow of CI, and a person who works in it: on GitHub, and on GitLab."""

from __future__ import annotations

import shutil
import subprocess
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, ClassVar

import pytest

from tests.servers.github import GitHub
from tests.servers.gitlab import FORK, GitLab

from .support import BIN

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from tests.servers.git_host import GitHost, Job

PIPELINE = """\
import os
from pathlib import Path

from marin_build import StepSpec, step


def ran(name):
    with open(os.environ["RAN"], "a") as stream:
        stream.write(name + "\\n")


@step
def corpus(output: Path, lines: int) -> None:
    ran("corpus")
    (output / "text.txt").write_text("line\\n" * lines)


@step(name="train/{name}")
def train(output: Path, corpus: Path, name: str, rate: float) -> dict[str, float]:
    ran(name)
    (output / "model.txt").write_text(f"{rate}\\n")
    return {"loss": rate / 2}


def pipeline() -> list[StepSpec]:
    text = corpus(lines=3)
    return [
        train(corpus=text, name="left", rate=0.1),
        train(corpus=text, name="right", rate=0.2),
    ]
"""


def need_programs(kind: type[Story]) -> None:
    """Skip a test without the programs by which a host's stand-in, or its scripts, work."""
    if shutil.which(kind.program) is None:
        pytest.skip(f"no {kind.program}: `apt-get install {kind.program}`")


class Story(ABC):
    """A repository with a workflow, and a person who works in it.

    Attributes:
        system: what `marin-build ci` calls the host.
        program: a program that its workflow, or the host's stand-in, calls.
        includes: files, by name, without which the host does not find the workflow.
        new_plan: what the log of a build says that does not apply the plan that was reviewed.

    """

    system: str
    program: str
    includes: ClassVar[Mapping[str, str]] = {}
    new_plan: str
    hub: GitHost

    def __init__(self, folder: Path, *, cache: bool = False) -> None:
        home = folder / "home"
        home.mkdir()
        self.ran, self.outputs = folder / "ran.txt", folder / "outputs"
        environ = {
            "PATH": f"{BIN}:/usr/bin:/bin",
            "HOME": str(home),
            "LANG": "C.UTF-8",
            "USER": "runner",
            "RAN": str(self.ran),
        }
        self.hub = self._open_hub(folder / "hub", environ)
        self.here = folder / "lm"
        self.hub.git(folder, "clone", "-q", str(self.hub.bare), str(self.here))
        self.hub.git(self.here, "checkout", "-q", "-b", "main")
        self.write("pipeline.py", PIPELINE)
        prefix = ".marin-build/outputs" if cache else self.outputs
        self.write("marin-build.toml", f'prefix = "{prefix}"\n')
        self.write(
            ".gitignore", ".marin-build/\n__pycache__/\nmarin-build-*\n*.md\n*.txt\n*.xml\n*.json\n"
        )
        words = ("--cache", ".marin-build/outputs") if cache else ()
        done = self.marin_build("ci", self.system, "--install", "true", *words)
        assert done.stdout.startswith("written: "), done
        for name, text in self.includes.items():
            self.write(name, text)
        self.push("main", "first")

    @abstractmethod
    def _open_hub(self, folder: Path, environ: dict[str, str]) -> GitHost:
        """Return the host."""

    @abstractmethod
    def plan(self, number: int, branch: str) -> Job:
        """Open a request to merge a branch, or push to it, and let its job run."""

    @abstractmethod
    def merge(self, number: int) -> None:
        """Merge a request."""

    @abstractmethod
    def build(self, *, by_hand: bool = False) -> Job:
        """Let the job run that builds `main`: that of its last push, or one started by hand."""

    @abstractmethod
    def comments(self, number: int) -> list[str]:
        """Return what stands below a request to merge."""

    @abstractmethod
    def plan_of_fork(self, number: int, branch: str) -> Job:
        """Open a request to merge a branch of a stranger's fork, and let its job run."""

    @abstractmethod
    def night(self) -> bool:
        """Let the job of the night run; return whether it says that outputs are not up to date."""

    def merge_and_build(self, number: int) -> Job:
        """Merge a request, and let the job of the push run."""
        self.merge(number)
        return self.build()

    def marin_build(self, *words: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run marin-build in the person's own checkout."""
        return subprocess.run(
            ["marin-build", *words],
            cwd=self.here,
            env=self.hub.environ,
            capture_output=True,
            text=True,
            check=check,
        )

    def write(self, name: str, text: str) -> None:
        """Write a file."""
        (self.here / name).write_text(text)

    def edit(self, old: str, new: str) -> None:
        """Change a line of the pipeline."""
        text = (self.here / "pipeline.py").read_text()
        assert old in text
        self.write("pipeline.py", text.replace(old, new))

    def push(self, branch: str, message: str = "edit") -> None:
        """Commit all, and push it to a branch."""
        self.hub.git(self.here, "add", "-A")
        self.hub.git(self.here, "commit", "-q", "--allow-empty", "-m", message)
        self.hub.git(self.here, "push", "-q", "-f", "origin", f"HEAD:{branch}")

    def branch(self, name: str) -> None:
        """Begin a branch at `main`."""
        self.hub.git(self.here, "fetch", "-q", "origin")
        self.hub.git(self.here, "checkout", "-q", "-B", name, "origin/main")

    def change(self, number: int, old: str, new: str) -> Job:
        """Open a request to merge a change of one line, and let its job run."""
        self.branch(f"change-{number}")
        self.edit(old, new)
        self.push(f"change-{number}")
        return self.plan(number, f"change-{number}")

    def builds(self) -> list[str]:
        """Return which steps ran since the last call."""
        names = sorted(self.ran.read_text().split()) if self.ran.exists() else []
        self.ran.unlink(missing_ok=True)
        return names


class GitHubStory(Story):
    """On GitHub; the gate says how the job of a pull request ended."""

    system = "github"
    program = "jq"
    new_plan = "::warning title=new plan::"
    hub: GitHub

    def _open_hub(self, folder: Path, environ: dict[str, str]) -> GitHost:
        return GitHub(folder, environ)

    def plan(self, number: int, branch: str) -> Job:
        """Open a pull request, or push to it, and let its job run."""
        event = self.hub.open_pull(number, branch)
        job = self.hub.run_job("plan", event)
        gate = self.hub.run_job("gate", event, {"plan": job})
        assert gate.result == job.result, job.log
        return job

    def merge(self, number: int) -> None:
        """Merge a pull request."""
        event = self.hub.merge(number)
        assert self.hub.run_job("plan", event).result == "skipped"

    def build(self, *, by_hand: bool = False) -> Job:
        """Run the job `apply`."""
        event = self.hub.event_on_main("workflow_dispatch" if by_hand else "push")
        return self.hub.run_job("apply", event)

    def comments(self, number: int) -> list[str]:
        """Return the comments of a pull request."""
        return [each["body"] for each in self.hub.read()["comments"].get(str(number), [])]

    def plan_of_fork(self, number: int, branch: str) -> Job:
        """Open a pull request from a fork."""
        event = self.hub.open_pull(number, branch)
        event["event"]["pull_request"]["head"]["repo"]["full_name"] = "stranger/lm"
        return self.hub.run_job("plan", event)

    def night(self) -> bool:
        """Run the job `drift`, which opens, edits and closes one issue."""
        job = self.hub.run_job("drift", self.hub.event_on_main("schedule"))
        assert job.result == "success", job.log
        issues = self.hub.read()["issues"]
        assert len(issues) <= 1
        return any(issue["state"] == "open" for issue in issues)


class GitLabStory(Story):
    """On GitLab."""

    system = "gitlab"
    program = "curl"
    includes: ClassVar[Mapping[str, str]] = {".gitlab-ci.yml": "include: .gitlab/marin-build.yml\n"}
    new_plan = "a new one is made and applied"
    hub: GitLab

    def _open_hub(self, folder: Path, environ: dict[str, str]) -> GitHost:
        return GitLab(folder, environ)

    def plan(self, number: int, branch: str) -> Job:
        """Open a merge request, or push to it, and let its pipeline run."""
        self.hub.push_request(number, branch)
        return self.hub.run_request(number)

    def merge(self, number: int) -> None:
        """Merge a merge request."""
        self.hub.merge(number)

    def build(self, *, by_hand: bool = False) -> Job:
        """Run the job `marin-build apply`."""
        return self.hub.run_on_main("web" if by_hand else "push", "marin-build apply")

    def comments(self, number: int) -> list[str]:
        """Return the notes of a merge request."""
        return [note["body"] for note in self.hub.requests[number].notes]

    def plan_of_fork(self, number: int, branch: str) -> Job:
        """Open a merge request from a fork, whose pipeline is the fork's own."""
        self.hub.push_request(number, branch, FORK)
        return self.hub.run_request(number)

    def night(self) -> bool:
        """Run the scheduled job, which fails if outputs are not up to date."""
        return self.hub.run_on_main("schedule", "marin-build drift").result == "failure"
