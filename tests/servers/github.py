"""A stand-in for GitHub: a bare repository, pull requests, and a runner of workflows.

The runner executes the `run:` scripts of a workflow's own steps, in their order, with the bash and
the options that GitHub uses. Of actions it has those that our workflows use. Expressions are those
of our workflows: names, comparisons, `&&`, `||` and `always()`; GitHub's documentation is "Evaluate
expressions in workflows and actions".
"""

from __future__ import annotations

import itertools
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from .gh_program import changed_state
from .git_host import GitHost, Job

if TYPE_CHECKING:
    from collections.abc import Mapping

REPOSITORY = "ada/lm"
_GH = Path(__file__).with_name("gh_program.py")
_NAME = re.compile(r"(?<!')\b(github|env|steps|needs|secrets)((?:\.[\w-]+)+)")


class Failure(Exception):  # noqa: N818 - of a step, which a job may go on after
    """A step failed."""


class GitHub(GitHost):
    """A repository with a workflow.

    Args:
        folder: for all that it keeps.
        environ: the variables of a runner: `PATH` and `HOME`.

    """

    def __init__(self, folder: Path, environ: Mapping[str, str]) -> None:
        super().__init__(folder, environ)
        self._run_ids = itertools.count(1)
        self.state = folder / "state.json"
        for name in ("bin", "artifacts"):
            (folder / name).mkdir()
        program = folder / "bin" / "gh"
        program.write_text(f'#!/bin/sh\nexec {sys.executable} {_GH} "$@"\n')
        program.chmod(0o755)
        self.environ["PATH"] = f"{folder / 'bin'}:{self.environ['PATH']}"
        first: dict[str, Any] = {
            "requests": [], "comments": {}, "issues": [], "pulls": {}, "runs": [],
            "artifacts": str(folder / "artifacts"),
        }  # fmt: skip
        self.state.write_text(json.dumps(first))

    def read(self) -> dict[str, Any]:
        """Return what it keeps."""
        with changed_state(self.state) as state:
            return state

    def open_pull(self, number: int, branch: str) -> dict[str, Any]:
        """Open a pull request of a branch, or push to it; return the event."""
        head, base = self.newest(branch), self.newest()
        with changed_state(self.state) as state:
            state["pulls"][str(number)] = {"head": head, "merged": None, "branch": branch}
        return {
            "run_id": next(self._run_ids),
            "event_name": "pull_request",
            "ref": f"refs/pull/{number}/merge",
            "sha": head,
            "event": {
                "pull_request": {
                    "number": number,
                    "title": branch,
                    "base": {"sha": base},
                    "head": {"sha": head, "ref": branch, "repo": {"full_name": REPOSITORY}},
                }
            },
        }

    def merge(self, number: int) -> dict[str, Any]:
        """Merge a pull request, and return the event of the push."""
        branch = self.read()["pulls"][str(number)]["branch"]
        merged = self.merge_branch(branch)
        with changed_state(self.state) as state:
            state["pulls"][str(number)]["merged"] = merged
        return self.event_on_main("push")

    def event_on_main(self, name: str) -> dict[str, Any]:
        """Return an event that is about the newest commit of the branch."""
        return {
            "run_id": next(self._run_ids),
            "event_name": name,
            "ref": "refs/heads/main",
            "sha": self.newest(),
            "event": {},
        }

    def run_job(
        self, name: str, event: Mapping[str, Any], needs: Mapping[str, Job] | None = None
    ) -> Job:
        """Run one job of the workflow of the commit that an event is about."""
        workspace = self._checkout(event)
        workflow = yaml.safe_load((workspace / ".github/workflows/marin-build.yml").read_text())
        job = workflow["jobs"][name]
        context: dict[str, Any] = {
            "github": {"repository": REPOSITORY, "token": "a-token-of-the-runner", **event},
            "env": {},
            "steps": {},
            "needs": {key: {"result": each.result} for key, each in (needs or {}).items()},
        }
        if "if" in job and not _holds(job["if"], context):
            return Job("skipped")
        for variables in (workflow.get("env", {}), job.get("env", {})):
            context["env"] |= {key: _filled(value, context) for key, value in variables.items()}
        run = int(event["run_id"])
        done = Job("success", workspace=workspace)
        for step in job["steps"]:
            self._step(step, context, done, run)
        for folder in done.caches if done.result == "success" else ():
            shutil.rmtree(self.folder / "cache", ignore_errors=True)
            shutil.copytree(folder, self.folder / "cache", symlinks=True)
        head = event["event"].get("pull_request", {}).get("head", {}).get("sha", event["sha"])
        with changed_state(self.state) as state:
            runs = state["runs"]
            if done.result == "success" and all(each["databaseId"] != run for each in runs):
                runs.append({"databaseId": run, "headSha": head})
        return done

    def _checkout(self, event: Mapping[str, Any]) -> Path:
        """Return a checkout: of a pull request that of its merge with the branch, as on GitHub."""
        clone = self.clone(event["sha"])
        if (pull := event["event"].get("pull_request")) is not None:
            self.git(clone, "checkout", "-q", pull["base"]["sha"])
            self.git(clone, "merge", "-q", "--no-ff", "-m", "merge", event["sha"])
        return clone

    def _step(self, step: Mapping[str, Any], context: dict[str, Any], job: Job, run: int) -> None:
        condition = str(step.get("if", ""))
        is_due = job.result == "success" or "always()" in condition
        if not is_due or (condition and not _holds(condition, context)):
            job.skipped.append(step.get("name", step.get("uses", "")))
            return
        if "uses" in step:
            self._action(step, context, job, run)
            return
        script = job.workspace.parent / "script.sh"
        script.write_text(step["run"])
        assert "${{" not in step["run"], "an expression in a script: what strangers write runs"
        files = {
            key: job.workspace.parent / key for key in ("GITHUB_OUTPUT", "GITHUB_STEP_SUMMARY")
        }
        for file in files.values():
            file.touch()
        variables = {**context["env"]}
        variables |= {key: _filled(value, context) for key, value in step.get("env", {}).items()}
        done = subprocess.run(
            ["bash", "--noprofile", "--norc", "-eo", "pipefail", str(script)],
            cwd=job.workspace,
            env={
                **self.environ,
                **{key: str(value) for key, value in variables.items()},
                **{key: str(file) for key, file in files.items()},
                "GH_STATE": str(self.state),
                "GITHUB_ACTIONS": "true",
                "GITHUB_WORKSPACE": str(job.workspace),
            },
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        job.log += done.stdout
        job.summary = files["GITHUB_STEP_SUMMARY"].read_text()
        lines = files["GITHUB_OUTPUT"].read_text().splitlines()
        files["GITHUB_OUTPUT"].write_text("")
        if "id" in step:
            context["steps"][step["id"]] = {"outputs": dict(line.split("=", 1) for line in lines)}
        if done.returncode != 0:
            job.result = "failure"

    def _action(self, step: Mapping[str, Any], context: dict[str, Any], job: Job, run: int) -> None:
        name = step["uses"].partition("@")[0]
        if name in ("actions/checkout", "actions/setup-python"):
            return
        if name == "actions/upload-artifact":
            given = step["with"]
            paths = [job.workspace / path for path in given["path"].split()]
            place = self.folder / "artifacts" / str(run) / given["name"]
            found = [path for path in paths if path.exists()]
            assert found or given["if-no-files-found"] == "ignore", f"no files: {paths}"
            for path in found:
                if path.is_dir():
                    shutil.copytree(path, place, dirs_exist_ok=True)
                else:
                    place.mkdir(parents=True, exist_ok=True)
                    shutil.copy(path, place)
            return
        if name in ("actions/cache", "actions/cache/restore"):
            kept, place = self.folder / "cache", job.workspace / step["with"]["path"]
            if kept.is_dir():
                shutil.copytree(kept, place, symlinks=True)
            if name == "actions/cache":
                job.caches.append(place)
            return
        raise AssertionError(f"an action without a stand-in: {name}")


def _filled(value: object, context: Mapping[str, Any]) -> object:
    """Return a value of `env:` with its expressions replaced."""
    text = re.sub(
        r"\$\{\{(.*?)\}\}", lambda found: _text(_evaluated(found[1], context)), str(value)
    )
    return {"True": "true", "False": "false"}.get(text, text)


def _text(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return "" if value is None or isinstance(value, dict) else str(value)


def _holds(condition: str, context: Mapping[str, Any]) -> bool:
    return bool(_evaluated(condition, context))


def _evaluated(expression: str, context: Mapping[str, Any]) -> Any:
    """Return what an expression stands for; a name that is not there is empty."""
    names: dict[str, Any] = {"always": lambda: True}

    def looked_up(found: re.Match[str]) -> str:
        value: Any = context.get(found[1], {})
        for part in found[2][1:].split("."):
            value = value.get(part) if isinstance(value, dict) else None
        key = f"v{len(names)}"
        names[key] = "" if value is None else value
        return key

    python = _NAME.sub(looked_up, expression).replace("&&", " and ").replace("||", " or ")
    return eval(python.strip(), {"__builtins__": {}}, names)
