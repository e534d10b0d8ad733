"""A stand-in for GitLab: a bare repository, merge requests, a runner of jobs, and the API they ask.

The runner executes a job's `before_script` and `script` as GitLab's does: in one bash, evaluated
together with `set -eo pipefail` and an empty standard input. It has the predefined variables that
our pipelines read, evaluates `rules`, and keeps artifacts. GitLab's documentation: "CI/CD YAML
syntax reference", "Predefined CI/CD variables reference", "CI/CD job token", and of its API
"Notes", "Commits" and "Job artifacts".
"""

from __future__ import annotations

import io
import json
import re
import shlex
import subprocess
import threading
import zipfile
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, unquote, urlsplit

import yaml

from .git_host import GitHost, Job

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

PROJECT, FORK = 7, 8
"""The ids of the project, and of a stranger's fork of it."""
BOT, STRANGER = 1, 2
"""The ids of users: the owner of the project's token, and another user."""
TOKEN, JOB_TOKEN = "glpat-a-token-of-the-project", "glcbt-a-token-of-the-job"
_LONGEST_NOTE = 1_000_000


@dataclass(slots=True)
class MergeRequest:
    """A merge request.

    Args:
        branch: its source branch.
        source: the id of the project that has the branch.
        notes: oldest first.
        merged: the commit that it became; None: it is open.
        artifacts: of its newest pipeline that succeeded, a zip file for each job.

    """

    branch: str
    source: int = PROJECT
    notes: list[dict[str, Any]] = field(default_factory=list)
    merged: str | None = None
    artifacts: dict[str, bytes] = field(default_factory=dict)


class ApiError(Exception):
    """A request that is refused."""

    def __init__(self, status: int) -> None:
        self.status = status


class GitLab(GitHost):
    """A project with a pipeline.

    Args:
        folder: for all that it keeps.
        environ: the variables of a runner: `PATH` and `HOME`.

    """

    def __init__(self, folder: Path, environ: Mapping[str, str]) -> None:
        super().__init__(folder, environ)
        self.requests: dict[int, MergeRequest] = {}
        self.variables = {"MARIN_BUILD_TOKEN": TOKEN}
        """Those of the project's settings: a fork does not see them."""
        self.asked: list[str] = []
        """Each request to the API, and how it was answered."""
        self._ids = 100
        self._lock = threading.Lock()
        self._server = self._serve()

    def close(self) -> None:
        """End the API."""
        self._server.shutdown()
        self._server.server_close()

    def push_request(self, iid: int, branch: str, source: int = PROJECT) -> MergeRequest:
        """Open a merge request of a branch, or push to it."""
        self.git(self.bare, "update-ref", f"refs/merge-requests/{iid}/head", self.newest(branch))
        return self.requests.setdefault(iid, MergeRequest(branch, source))

    def merge(self, iid: int, *, method: str = "merge") -> None:
        """Merge a merge request."""
        request = self.requests[iid]
        request.merged = self.merge_branch(request.branch, method=method)

    def run_request(self, iid: int) -> Job:
        """Run the job `plan` in a pipeline of a merge request."""
        request = self.requests[iid]
        sha = self.newest(request.branch)
        workspace = self.clone(sha)
        variables = {
            "CI_PIPELINE_SOURCE": "merge_request_event",
            "CI_COMMIT_REF_NAME": request.branch,
            "CI_PROJECT_ID": str(request.source),
            "CI_MERGE_REQUEST_IID": str(iid),
            "CI_MERGE_REQUEST_PROJECT_ID": str(PROJECT),
            "CI_MERGE_REQUEST_SOURCE_PROJECT_ID": str(request.source),
            "CI_MERGE_REQUEST_SOURCE_BRANCH_NAME": request.branch,
            "CI_MERGE_REQUEST_TITLE": request.branch,
            "CI_MERGE_REQUEST_TARGET_BRANCH_NAME": "main",
            "CI_MERGE_REQUEST_DIFF_BASE_SHA": self.git(workspace, "merge-base", sha, "origin/main"),
        }
        if request.source == PROJECT:
            variables |= self.variables
        done = self._run_due("marin-build plan", workspace, sha, variables)
        kept = self._artifacts(done, workspace, "marin-build plan")
        if done.result == "success" and request.source == PROJECT:
            request.artifacts = {"marin-build plan": kept}
        return done

    def run_on_main(self, source: str, job: str) -> Job:
        """Run one job of a pipeline of the branch `main`: of a push, a schedule, or by hand."""
        sha = self.newest()
        variables = {
            **self.variables,
            "CI_PIPELINE_SOURCE": source,
            "CI_COMMIT_BRANCH": "main",
            "CI_COMMIT_REF_NAME": "main",
            "CI_PROJECT_ID": str(PROJECT),
        }
        return self._run_due(job, self.clone(sha), sha, variables)

    def jobs_of(self, workspace: Path) -> dict[str, dict[str, Any]]:
        """Return the jobs of a checkout, with what they extend, by name."""
        included = yaml.safe_load((workspace / ".gitlab-ci.yml").read_text())["include"]
        found = yaml.safe_load((workspace / included).read_text())
        return {name: _extended(found, name) for name in found if not name.startswith(".")}

    def _run_due(self, name: str, workspace: Path, sha: str, variables: Mapping[str, str]) -> Job:
        """Run a job if one of its rules holds; no other job may be due then."""
        jobs = self.jobs_of(workspace)
        shared = {
            **variables,
            "CI": "true",
            "GITLAB_CI": "true",
            "CI_COMMIT_SHA": sha,
            "CI_DEFAULT_BRANCH": "main",
            "CI_JOB_TOKEN": JOB_TOKEN,
            "CI_PROJECT_DIR": str(workspace),
            "CI_REPOSITORY_URL": str(self.bare),
            "CI_API_V4_URL": f"http://127.0.0.1:{self._server.server_address[1]}/api/v4",
        }
        due = [each for each, job in jobs.items() if _is_due(job["rules"], shared)]
        if name not in due:
            return Job("skipped")
        assert due == [name], "two jobs of one pipeline"
        own = {key: str(value) for key, value in jobs[name]["variables"].items()}
        return self._execute(jobs[name], workspace, {**own, **shared})

    def _execute(
        self, job: Mapping[str, Any], workspace: Path, variables: Mapping[str, str]
    ) -> Job:
        lines = [*job["before_script"], *job["script"]]
        script = "set -eo pipefail\n: | eval " + shlex.quote("\n".join(lines) + "\n")
        done = subprocess.run(
            ["bash"],
            input=script,
            cwd=workspace,
            env={**self.environ, **variables},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        result = "success" if done.returncode == 0 else "failure"
        return Job(result, log=done.stdout, workspace=workspace)

    def _artifacts(self, done: Job, workspace: Path, name: str) -> bytes:
        """Return a zip file of what a job leaves; files that are not there are no failure."""
        if done.result != "success":
            return b""
        kept = io.BytesIO()
        with zipfile.ZipFile(kept, "w") as archive:
            for path in self.jobs_of(workspace)[name]["artifacts"]["paths"]:
                place = workspace / path
                for file in sorted(place.rglob("*")) if place.is_dir() else [place]:
                    if file.is_file():
                        archive.write(file, file.relative_to(workspace))
        return kept.getvalue()

    def _serve(self) -> ThreadingHTTPServer:
        host = self

        class Handler(BaseHTTPRequestHandler):
            def _answer(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                status, data = 200, b""
                more: dict[str, str] = {}
                try:
                    with host._lock:
                        answer, more = host._answer(
                            self.command, self.path, dict(self.headers), body
                        )
                    data = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
                except ApiError as error:
                    status, data = error.status, b'{"message":"refused"}'
                host.asked.append(f"{self.command} {self.path} {status}")
                self.send_response(status)
                for key, value in more.items():
                    self.send_header(key, value)
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            do_GET = do_POST = do_PUT = _answer  # noqa: N815 - names of http.server

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        return server

    def _answer(
        self, method: str, target: str, headers: Mapping[str, str], body: bytes
    ) -> tuple[Any, dict[str, str]]:
        """Return the answer to a request, and further headers."""
        url = urlsplit(target)
        path = [unquote(part) for part in url.path.split("/")[3:]]
        query = {key: values[0] for key, values in parse_qs(url.query).items()}
        is_job = headers.get("JOB-TOKEN") == JOB_TOKEN
        is_bot = headers.get("PRIVATE-TOKEN") == TOKEN
        if not (is_job or is_bot):
            raise ApiError(401)
        match method, path:
            case "GET", ["projects", _, "jobs", "artifacts", ref, "download"]:
                return self._download(ref, query["job"]), {}
            case _ if not is_bot:
                raise ApiError(401)  # "CI/CD job token": other endpoints are not accessible
            case "GET", ["user"]:
                return {"id": BOT}, {}
            case "GET", ["projects", "7", "repository", "commits", sha, "merge_requests"]:
                found = [iid for iid, each in self.requests.items() if each.merged == sha]
                return [{"iid": iid, "state": "merged"} for iid in found], {}
            case "GET", ["projects", "7", "merge_requests", iid, "notes"]:
                return _page(self.requests[int(iid)].notes[::-1], query)
            case "POST", ["projects", "7", "merge_requests", iid, "notes"]:
                return self.add_note(int(iid), BOT, _form(headers, body)), {}
            case "PUT", ["projects", "7", "merge_requests", iid, "notes", number]:
                notes = self.requests[int(iid)].notes
                note = next(each for each in notes if str(each["id"]) == number)
                if note["author"]["id"] != BOT:
                    raise ApiError(403)
                note["body"] = _form(headers, body)
                return note, {}
        raise ApiError(404)

    def add_note(self, iid: int, author: int, body: str) -> dict[str, Any]:
        """Write a note."""
        self._ids += 1
        note = {"id": self._ids, "author": {"id": author}, "body": body, "system": False}
        self.requests[iid].notes.append(note)
        return note

    @staticmethod
    def added(archive: bytes, file: Path) -> bytes:
        """Return a zip file with one file more."""
        kept = io.BytesIO(archive)
        with zipfile.ZipFile(kept, "a") as opened:
            opened.write(file, file.name)
        return kept.getvalue()

    def _download(self, ref: str, job: str) -> bytes:
        found = re.fullmatch(r"refs/merge-requests/(\d+)/head", ref)
        request = self.requests.get(int(found[1])) if found else None
        if request is None or job not in request.artifacts:
            raise ApiError(404)
        return request.artifacts[job]


def _page(notes: list[dict[str, Any]], query: Mapping[str, str]) -> tuple[Any, dict[str, str]]:
    """Return a page, newest first, and the header that names the next one: empty at the end."""
    size, page = int(query.get("per_page", "20")), int(query.get("page", "1"))
    more = str(page + 1) if page * size < len(notes) else ""
    return notes[(page - 1) * size : page * size], {"x-next-page": more}


def _form(headers: Mapping[str, str], body: bytes) -> str:
    """Return the field `body` of a form."""
    head = f"Content-Type: {headers['Content-Type']}\r\n\r\n".encode()
    (part,) = message_from_bytes(head + body, policy=policy.HTTP).iter_parts()
    assert part.get_param("name", header="content-disposition") == "body"
    text = part.get_content()
    assert text, "body is empty"
    assert len(text) <= _LONGEST_NOTE, "body is too long"
    return str(text)


def quick_actions(note: str) -> list[str]:
    """Return the lines of a note that GitLab carries out as commands: `/close`, `/merge`.

    They begin with a slash, and stand in no code block.
    """
    outside = re.sub(r"^```.*?^```", "", note, flags=re.MULTILINE | re.DOTALL)
    return re.findall(r"^\s*/\w+.*", outside, re.MULTILINE)


def _extended(jobs: Mapping[str, Any], name: str) -> dict[str, Any]:
    """Return a job merged with what it extends: tables key by key, all else replaced."""
    job = dict(jobs[name])
    if (parent := job.pop("extends", None)) is None:
        return job
    whole = _extended(jobs, parent)
    for key, value in job.items():
        is_table = isinstance(value, dict) and isinstance(whole.get(key), dict)
        whole[key] = {**whole[key], **value} if is_table else value
    return whole


def _is_due(rules: Iterable[Mapping[str, str]], variables: Mapping[str, str]) -> bool:
    return any(_holds(rule["if"], variables) for rule in rules)


def _holds(condition: str, variables: Mapping[str, str]) -> bool:
    """Return whether comparisons that are joined by `&&` hold."""
    for part in condition.split("&&"):
        found = re.fullmatch(r'\s*\$(\w+) == "([^"]*)"\s*', part)
        assert found, f"a rule that the stand-in does not know: {condition}"
        if variables.get(found[1]) != found[2]:
            return False
    return True
