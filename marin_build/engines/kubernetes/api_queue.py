"""Jobs and JobSets of a cluster as a queue.

A job's name is its id: the API takes each name once, so the name is a mutex. It is the same for
all attempts, since a saved plan holds it before there is an attempt to count; so what an earlier
attempt left under the name is deleted before the next one is created.

`poll` lists instead of watching. A list is complete and of one moment, so what it does not name was
deleted. A watch would have a version to lose (410), a thread for each kind, and gaps to fill by a
list; for a few thousand jobs, asked about every ten seconds, it saves too little.
"""

from __future__ import annotations

import os
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from marin_build.engines.jobs import (
    JobNotYetError,
    JobQueue,
    JobRefusedError,
    JobState,
    Phase,
    QueueAwayError,
)
from marin_build.engines.kubernetes.api_errors import (
    CONFLICT,
    FORBIDDEN,
    MISSING,
    ApiError,
    away,
    refusal,
)
from marin_build.engines.kubernetes.job_manifest import is_same, metadata_of, read_job
from marin_build.engines.kubernetes.job_states import (
    NO_POD,
    gone_state,
    has_ended,
    has_failed,
    is_going,
    job_state,
)
from marin_build.engines.kubernetes.labels import selector_of
from marin_build.engines.kubernetes.names import WORKER
from marin_build.engines.kubernetes.pod_states import (
    creation_problem,
    log_pod,
    owner_of,
    passes_by_itself,
    why_it_cannot_start,
)
from marin_build.errors import UsageError
from marin_build.workspace.own_files import open_own

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from marin_build.engines.jobs import JobRequest
    from marin_build.engines.kubernetes.cluster_api import ClusterApi
    from marin_build.engines.kubernetes.json_objects import Object

_ALIVE = "status.phase!=Succeeded,status.phase!=Failed"
_OF_JOB = {"Job": "batch.kubernetes.io/job-name", "JobSet": "jobset.sigs.k8s.io/jobset-name"}
"""The label that names the owner of a pod, and of the Job of a JobSet."""
_LOG_LINES, _LOG_FETCHED, _LOG_BYTES = 1000, 4_000_000, 100_000
"""What is kept of the end of a pod's log."""


class ApiQueue(JobQueue):
    """The jobs of one prefix in one namespace of a cluster.

    Args:
        api: the cluster.
        prefix: of the targets.
        logs: the local folder that takes what pods print outside their steps.
        poll_every: see JobQueue.
        start_within: seconds that a pod may fail to start, for its image or a Secret.

    """

    def __init__(
        self, api: ClusterApi, prefix: str, logs: str, poll_every: float, start_within: float
    ) -> None:
        self.poll_every = poll_every
        self._api, self._selector, self._logs = api, selector_of(prefix), logs
        self._start_within = start_within
        self._known: dict[str, Object] = {}  # by name, as it was seen last
        self._stuck: dict[str, float] = {}  # since when its pods fail to start
        self._podless: set[str] = set()  # had no pod at the last poll

    def check(self) -> None:
        """Raise a MarinBuildError if there is no cluster, or it does not let us see its jobs."""
        try:
            self._api.list_all("Job", labels=self._selector)
        except ApiError as error:
            if error.status == FORBIDDEN:
                raise UsageError(
                    f"the cluster shows us no jobs of the namespace `{self._api.namespace}`",
                    facts=[("reason", error.reason)],
                    consequence="nothing was submitted",
                    hint="docs/engines/kubernetes.md lists what the role of a user needs",
                ) from error
            raise away(error) from error

    def find(self, names: Collection[str]) -> dict[str, str]:
        """Return the names of the jobs that wait or run."""
        listed = self._listed(names)
        return {name: name for name in names if name in listed and _is_live(listed[name])}

    def submit(self, job: JobRequest) -> str:
        """Create a job, after what an earlier one has left under its name; return its name."""
        body = read_job(job)
        kind: str = body["kind"]
        try:
            if kind == "JobSet":
                self._rehearse(body)
            for _ in range(2):
                try:
                    self._known[job.name] = {"kind": kind, **self._api.create(kind, body)}
                    return job.name
                except ApiError as error:
                    if error.status != CONFLICT:
                        raise
                if self._is_taken_by(job.name, body):
                    return job.name
        except ApiError as error:
            raise refusal(error, job.name) from error
        raise _not_yet(job.name)

    def poll(self, jobs: Mapping[str, str]) -> dict[str, JobState]:
        """Return the states of jobs."""
        listed = self._listed(jobs)
        pods: dict[str, list[Object]] = {id_: [] for id_ in jobs}
        if any(id_ not in listed or not has_ended(listed[id_]) for id_ in jobs):
            for pod in self._list("Pod", self._selector, _ALIVE):
                pods.setdefault(owner_of(pod), []).append(pod)
        return {id_: self._state(id_, listed.get(id_), pods[id_]) for id_ in jobs}

    def cancel(self, jobs: Mapping[str, str], *, kill: bool) -> None:
        """Delete jobs, and after the end of their pods their names; or kill their pods."""
        for id_ in jobs:
            for kind in self._kinds_of(id_):
                uid = metadata_of(self._known.get(id_, {})).get("uid", "")
                # In the foreground: a list shows the job until its last pod has ended.
                self._delete(kind, id_, uid=uid, propagation_policy="Foreground")
                if kill:
                    for pod in self._list("Pod", f"{_OF_JOB[kind]}={id_}", _ALIVE):
                        self._delete("Pod", metadata_of(pod)["name"], grace_period_seconds=0)

    def output_of(self, job_id: str) -> str:
        """Return a file with the end of what the pod printed that decided how the job ended."""
        path = os.path.join(self._logs, f"{job_id}.log")
        with suppress(QueueAwayError, ApiError, OSError):  # the outcome counts, with or without
            pods = [p for kind in self._kinds_of(job_id) for p in self._pods_of(kind, job_id)]
            if pod := log_pod(pods):
                said = self._api.log(pod, _LOG_LINES, _LOG_FETCHED)
                os.makedirs(self._logs, exist_ok=True)
                descriptor = open_own(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
                with open(descriptor, "wb") as stream:
                    stream.write(said[-_LOG_BYTES:])
                return path
        return ""

    def _listed(self, names: Collection[str]) -> dict[str, Object]:
        """Return all jobs of this prefix, by name; JobSets if one of the names may be one."""
        found = [{"kind": "Job", **each} for each in self._list("Job", self._selector)]
        kinds = {self._known[name]["kind"] if name in self._known else "" for name in names}
        if kinds - {"Job"}:
            found += self._jobsets(is_needed="JobSet" in kinds)
        listed = {str(metadata_of(each).get("name")): each for each in found}
        self._known |= listed
        return listed

    def _jobsets(self, *, is_needed: bool) -> list[Object]:
        """Return the JobSets; not every cluster has them, and not everybody may see them."""
        try:
            sets = self._api.list_all("JobSet", labels=self._selector)
        except ApiError as error:
            if is_needed or error.status not in {MISSING, FORBIDDEN}:
                raise away(error) from error
            return []
        return [{"kind": "JobSet", **each} for each in sets]

    def _list(self, kind: str, labels: str, fields: str = "") -> list[Object]:
        try:
            return self._api.list_all(kind, labels=labels, fields=fields)
        except ApiError as error:
            raise away(error) from error

    def _pods_of(self, kind: str, name: str) -> list[Object]:
        return self._list("Pod", f"{_OF_JOB[kind]}={name}")

    def _state(self, id_: str, job: Object | None, pods: Sequence[Object]) -> JobState:
        """Return the state of a job; end it if its pods cannot start and do not get better."""
        if job is None:
            return gone_state(pods)
        if has_failed(job):
            kind = job["kind"]
            is_set = kind == "JobSet"
            children = self._list("Job", f"{_OF_JOB[kind]}={id_}") if is_set else []
            return job_state(job, self._pods_of(kind, id_), children)
        state = job_state(job, pods)
        why = why_it_cannot_start(pods) if state.phase is Phase.QUEUED else ""
        if state == NO_POD:
            if id_ in self._podless and (why := self._why_no_pod(id_, job["kind"])):
                state = JobState(Phase.QUEUED, why)
            self._podless.add(id_)
        else:
            self._podless.discard(id_)
        if not why or passes_by_itself(why):
            self._stuck.pop(id_, None)
            return state
        now = time.monotonic()
        if now - self._stuck.setdefault(id_, now) < self._start_within:
            return state
        self.cancel({id_: id_}, kill=False)
        return JobState(Phase.ENDED, why, "app")

    def _why_no_pod(self, name: str, kind: str) -> str:
        """Return why a job has no pod: its events say it, if we may read them."""
        about = name if kind == "Job" else f"{name}-{WORKER}-0"
        fields = f"involvedObject.name={about},reason=FailedCreate"
        try:
            return creation_problem(self._api.list_all("Event", fields=fields))
        except ApiError:
            return ""

    def _rehearse(self, jobset: Object) -> None:
        """Have the server check a JobSet and its Jobs.

        A JobSet with a faulty pod is accepted, and then nothing ever happens.
        """
        self._api.create("JobSet", jobset, dry_run=True)
        name = metadata_of(jobset)["name"]
        for replicated in jobset["spec"]["replicatedJobs"]:
            child = f"{name}-{replicated['name']}-0"
            template = replicated["template"]
            body = {"apiVersion": "batch/v1", "kind": "Job", **template}
            body["metadata"] = {**template.get("metadata", {}), "name": child}
            try:
                self._api.create("Job", body, dry_run=True)
            except ApiError as error:
                if error.status != CONFLICT:  # a Job of a JobSet that is just being deleted
                    raise

    def _is_taken_by(self, name: str, body: Object) -> bool:
        """Return whether a job of the name does the work; delete one that has ended.

        Raises:
            ApiError: the server does not say.
            JobRefusedError: the name is that of an object which is not ours.
            JobNotYetError: the name will be free later.

        """
        there = self._api.get(body["kind"], name)
        if there is None:
            return False
        if not is_same(there, body):
            raise JobRefusedError(
                f"a {body['kind']} named `{name}` is there that builds something else",
                hint=f"kubectl delete {body['kind'].lower()} {name}, if nobody needs it",
            )
        self._known[name] = {"kind": body["kind"], **there}
        if is_going(there):
            raise _not_yet(name)
        if not has_ended(there):
            return True
        uid = metadata_of(there).get("uid", "")
        self._delete(body["kind"], name, uid=uid, propagation_policy="Background")
        return False

    def _delete(self, kind: str, name: str, *, uid: str = "", **options: Any) -> None:
        """Delete an object, unless it is gone or its name is another one's by now."""
        try:
            self._api.delete(kind, name, uid=uid, **options)
        except ApiError as error:
            if error.status not in {MISSING, CONFLICT}:
                raise away(error) from error

    def _kinds_of(self, name: str) -> list[str]:
        """Return the kind of a job; of one whose submit was not answered it may be either."""
        known = self._known.get(name)
        return [known["kind"]] if known is not None else list(_OF_JOB)


def _is_live(job: Object) -> bool:
    return not has_ended(job) and not is_going(job)


def _not_yet(name: str) -> JobNotYetError:
    return JobNotYetError(
        f"an earlier job `{name}` is still ending",
        hint="its pods save what they have: this takes a minute at most",
    )
