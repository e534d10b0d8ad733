"""The jobs of a Ray cluster as a queue.

A job's id is its name and a number, the next after those that Ray knows. Ray takes an id once: of
two runs that submit at the same time one is refused, and finds the job of the other. It would be
simpler to have Ray forget a job that ended, and to take its id again. But then the new job fails,
since for seconds Ray keeps the actor of the old one.
"""

from __future__ import annotations

import json
import os
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from marin_build.engines.jobs import JobQueue, JobRefusedError, JobState, Phase, QueueAwayError
from marin_build.engines.ray.cluster_resources import why_it_waits
from marin_build.engines.ray.dashboard import AnswerError
from marin_build.engines.ray.job_files import JOB_VARIABLE, needs_in
from marin_build.engines.ray.job_states import is_live, job_state, waited_too_long
from marin_build.errors import UsageError
from marin_build.untrusted_json import parse_json, table
from marin_build.workspace.own_files import open_own

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from marin_build.engines.jobs import JobRequest
    from marin_build.engines.ray.dashboard import Dashboard

_PATIENCE_AT_FIRST = 10.0
_UNAUTHORIZED = (401, 403)
_NOT_FOUND = 404
_BAD_REQUEST = 400
_MOST_NODES = 10_000
_LONGEST_NUMBER = 9


class RayQueue(JobQueue):
    """The jobs of a cluster; Ray knows no users.

    Args:
        dashboard: of the cluster.
        logs: the local folder that takes what jobs print outside their steps.
        poll_every: see JobQueue.

    """

    def __init__(self, dashboard: Dashboard, logs: str, poll_every: float) -> None:
        self.poll_every = poll_every
        self._dashboard, self._logs = dashboard, logs
        self._session = ""  # of the head: another one after each start
        self._sessions: dict[str, str] = {}  # id -> in which session Ray knew it
        self._submitted: dict[str, JobRequest] = {}  # by id
        self._last: dict[str, int] = {}  # name -> the highest number that Ray knows
        self._stopped: set[str] = set()

    def check(self) -> None:
        """Raise a MarinBuildError if no cluster answers that takes jobs."""
        try:
            self._session = self.version()["session_name"]
            self._dashboard.ask("GET", "/api/jobs/", patience=_PATIENCE_AT_FIRST)
        except AnswerError as error:
            if error.status in _UNAUTHORIZED:
                raise UsageError(
                    f"Ray at {self._dashboard.address} lets nobody in without a token",
                    facts=[("reason", error.reason)],
                    consequence="nothing was submitted",
                    hint="set RAY_AUTH_TOKEN, or say where it is: ray.token, or ray.headers",
                ) from None
            raise _no_dashboard(self._dashboard.address, error.reason) from None

    def version(self, patience: float = _PATIENCE_AT_FIRST) -> dict[str, str]:
        """Return what the dashboard says of itself: `ray_version`, `session_name` and more.

        Raises:
            AnswerError, QueueAwayError: see Dashboard.
            UsageError: it is not the dashboard of a Ray cluster.

        """
        said = self._dashboard.ask("GET", "/api/version", patience=patience)
        if not isinstance(said, dict) or not isinstance(said.get("ray_version"), str):
            raise _no_dashboard(self._dashboard.address, "it does not say which version it has")
        return {"session_name": "", **{key: str(value) for key, value in said.items()}}

    def nodes(self, patience: float = _PATIENCE_AT_FIRST) -> list[dict[str, float]]:
        """Return what each living node has in all, by the name of the resource.

        Raises:
            QueueAwayError: it does not say.

        """
        path = f"/api/v0/nodes?limit={_MOST_NODES}"
        try:
            said = self._dashboard.ask("GET", path, patience=patience)
            rows = said["data"]["result"]["result"]
            totals = [row["resources_total"] for row in rows if row["state"] == "ALIVE"]
            return [{name: float(each) for name, each in total.items()} for total in totals]
        except AnswerError as error:
            raise QueueAwayError(f"Ray does not list its nodes: {error.reason}") from None
        except (LookupError, TypeError, ValueError, AttributeError):
            raise QueueAwayError("Ray lists its nodes in no form that is known") from None

    def find(self, names: Collection[str]) -> dict[str, str]:
        """Return the ids of the jobs of those names that wait or run."""
        live: dict[str, int] = {}
        for id_, row in self._listed().items():
            name, number = name_and_number(id_)
            if name in names:
                self._last[name] = max(number, self._last.get(name, 0))
                if is_live(row):
                    self._sessions.setdefault(id_, self._session)
                    live[name] = max(number, live.get(name, 0))
        return {name: f"{name}-{number}" for name, number in live.items()}

    def submit(self, job: JobRequest) -> str:
        """Submit a job under the next number of its name."""
        number = self._last.get(job.name, 0) + 1
        id_ = f"{job.name}-{number}"
        try:
            self._dashboard.ask("POST", "/api/jobs/", with_id(job.spec, job.name, id_).encode())
        except AnswerError as error:
            if "already exists" in error.text:  # as 400, or as 500 around the agent's 400
                raise QueueAwayError(f"a job named {id_} is there already") from None
            raise _refused(error) from None
        except ValueError as error:
            raise JobRefusedError(f"the file of the job is no job for Ray: {error}") from None
        self._last[job.name] = number
        self._submitted[id_], self._sessions[id_] = job, self._session
        return id_

    def poll(self, jobs: Mapping[str, str]) -> dict[str, JobState]:
        """Return the states of jobs, by id."""
        rows = {id_: row for id_, row in self._listed().items() if id_ in jobs}
        needs = {id_: needs_in(row.get("metadata")) for id_, row in rows.items() if _waits(row)}
        nodes = self._nodes_if_any(needs)
        states = {}
        for id_, row in rows.items():
            self._sessions.setdefault(id_, self._session)
            is_known = bool(needs.get(id_)) and bool(nodes)
            states[id_] = self._state(id_, row, why_it_waits(needs[id_], nodes) if is_known else "")
        if missing := jobs.keys() - states.keys():
            self._session = self._session_now()
            states |= {id_: self._without(id_) for id_ in missing}
        return states

    def cancel(self, jobs: Mapping[str, str], *, kill: bool) -> None:  # noqa: ARG002 - Ray kills
        """Ask jobs to end: Ray sends SIGTERM, and SIGKILL to what still runs a while later."""
        for id_ in sorted(jobs):
            try:
                said = self._dashboard.ask("POST", f"/api/jobs/{id_}/stop", b"")
            except AnswerError as error:
                if error.status != _NOT_FOUND:
                    raise QueueAwayError(f"Ray does not stop a job: {error.reason}") from None
                continue
            if isinstance(said, dict) and said.get("stopped") is True:
                self._stopped.add(id_)

    def output_of(self, job_id: str) -> str:
        """Return a file with what a job printed."""
        path = os.path.join(self._logs, f"{job_id}.log")
        with suppress(AnswerError, QueueAwayError, OSError, LookupError, TypeError, AttributeError):
            said = self._dashboard.ask("GET", f"/api/jobs/{job_id}/logs")["logs"]
            # Ray's line with the command would look like the job's own last word.
            own = f"Running entrypoint for job {job_id}:"
            lines = [line for line in said.splitlines(keepends=True) if not line.startswith(own)]
            if not lines:
                return ""
            os.makedirs(self._logs, exist_ok=True)
            descriptor = open_own(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
            with open(descriptor, "w", encoding="utf-8", errors="backslashreplace") as stream:
                stream.writelines(lines)
            return path
        return ""

    def _listed(self) -> dict[str, dict[str, Any]]:
        """Return all submitted jobs of the cluster, by id."""
        try:
            said = self._dashboard.ask("GET", "/api/jobs/")
        except AnswerError as error:
            raise QueueAwayError(f"Ray does not list its jobs: {error.reason}") from None
        if not isinstance(said, list):
            raise QueueAwayError("Ray lists its jobs in no form that is known")
        rows = [row for row in said if isinstance(row, dict)]
        return {row["submission_id"]: row for row in rows if row.get("submission_id")}

    def _state(self, id_: str, row: Mapping[str, Any], why: str) -> JobState:
        job, is_stopped = self._submitted.get(id_), id_ in self._stopped
        if is_stopped and _waits(row):
            # Ray cannot take back a job that waits. It ends that as soon as it has started it.
            return JobState(Phase.ENDED, "stopped before it started", "infra")
        if job is not None and not is_stopped and waited_too_long(row):
            # To wait for a busy cluster is no failure; only the user ends it. The run finds the new
            # job by its name; in place of one that it adopted, it submits another itself.
            del self._submitted[id_]
            with suppress(JobRefusedError):
                self.submit(job)
                return JobState(Phase.UNKNOWN, "it waits again")
        return job_state(row, why)

    def _nodes_if_any(self, waiting: Collection[str]) -> list[dict[str, float]]:
        if waiting:
            with suppress(QueueAwayError):  # the states count, with or without these words
                return self.nodes()
        return []

    def _session_now(self) -> str:
        try:
            return self.version()["session_name"]
        except (AnswerError, UsageError) as error:
            raise QueueAwayError(f"Ray gives no answer: {error}") from None

    def _without(self, job_id: str) -> JobState:
        """Return what it means that Ray does not list a job."""
        if self._sessions.get(job_id, self._session) not in {"", self._session}:
            return JobState(Phase.ENDED, "the head was started anew, without its jobs", "infra")
        return JobState(Phase.UNKNOWN, "unknown to Ray")


def _waits(row: Mapping[str, Any]) -> bool:
    return row.get("status") == "PENDING"


def name_and_number(id_: str) -> tuple[str, int]:
    """Return the name and the number in the id of a job; no name if it is none of ours."""
    name, _, number = id_.rpartition("-")
    is_ours = number.isascii() and number.isdigit() and len(number) <= _LONGEST_NUMBER
    return (name, int(number)) if is_ours else ("", 0)


def with_id(spec: str, name: str, id_: str) -> str:
    """Return the file of a job with its id in the two places where its name stands.

    Raises:
        ValueError: it is no such file.

    """
    body = table(parse_json(spec))
    variables = table(table(body.get("runtime_env")).get("env_vars"))
    if (body.get("submission_id"), variables.get(JOB_VARIABLE)) != (name, f"ray:{name}"):
        raise ValueError(f"it does not name `{name}`")
    body["submission_id"], variables[JOB_VARIABLE] = id_, f"ray:{id_}"
    return json.dumps(body)


def _refused(error: AnswerError) -> JobRefusedError | QueueAwayError:
    """Return the error of a submit: a request that is wrong stays wrong."""
    is_wrong = error.status == _BAD_REQUEST or "failed with status code 400" in error.text
    if is_wrong or error.status == _NOT_FOUND:
        return JobRefusedError(f"Ray refuses it: {error.reason}")
    return QueueAwayError(f"Ray takes no job now: {error.reason}")


def _no_dashboard(address: str, reason: str) -> UsageError:
    return UsageError(
        f"no Ray dashboard answers at {address}",
        facts=[("reason", reason)],
        consequence="nothing was submitted",
        hint="name the URL of its dashboard: ray.address, or RAY_API_SERVER_ADDRESS",
    )
