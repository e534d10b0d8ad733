"""The controller of JobSets in the tests' Kubernetes (v1alpha2, as of v0.12).

Source: the pages of JobSet on failure policies, and the order of its controller. Known: replicated
Jobs, success and failure policies, whole restarts, suspension, the coordinator. Not known:
`dependsOn` and start-up order (refused), restarts of single Jobs (alpha gates, off), the condition
`RestartingJobSet`. A child Job that the server refuses leaves no trace, as it was seen to.
"""

from __future__ import annotations

import copy
import hashlib
import math
from typing import TYPE_CHECKING

from .kubernetes_deletion import delete
from .kubernetes_events import record
from .kubernetes_jobs import is_finished
from .kubernetes_jobset_rules import PREFIX, because, decide, failure_time
from .kubernetes_nodes import EXCLUSIVE
from .kubernetes_resources import (
    ApiError,
    Object,
    condition_of,
    holds,
    owned_by,
    owner_of,
    seconds_since,
    set_condition,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from .kubernetes_store import Store

ATTEMPT = f"{PREFIX}restart-attempt"
_COMPONENT = "jobset"


class JobSetController:
    """Makes the Jobs of JobSets, and begins again when one has failed.

    `create` makes a Job as the server does when it is asked to, checks included.
    """

    def __init__(self, store: Store, create: Callable[[Object], Object]) -> None:
        self.store = store
        self._create = create

    def sync(self) -> float:
        """Look at all JobSets; return in how many seconds something is due again."""
        sets = self.store.list("jobsets")
        by_owner: dict[str, list[Object]] = {each["metadata"]["uid"]: [] for each in sets}
        for job in self.store.list("jobs"):
            by_owner.get(owner_of(job), []).append(job)
        return min(
            (self._sync(each, by_owner[each["metadata"]["uid"]]) for each in sets),
            default=math.inf,
        )

    def _sync(self, jobset: Object, jobs: list[Object]) -> float:
        edited = copy.deepcopy(jobset)
        due = self._advance(edited, jobs)
        self.store.change("jobsets", jobset, lambda there: there.update(status=edited["status"]))
        return due

    def _advance(self, jobset: Object, jobs: list[Object]) -> float:
        status = jobset.setdefault("status", {})
        attempt = status.setdefault("restarts", 0)
        status.setdefault("restartsCountTowardsMax", 0)
        earlier = [job for job in jobs if int(job["metadata"]["labels"][ATTEMPT]) < attempt]
        current = [job for job in jobs if job not in earlier]
        status["replicatedJobsStatus"] = [
            _replicas_status(each, current) for each in jobset["spec"]["replicatedJobs"]
        ]
        if is_jobset_finished(jobset):
            self._delete([job for job in current if not is_finished(job)])
            return self._live_on(jobset)
        if "deletionTimestamp" in jobset["metadata"]:
            return math.inf
        self._delete(earlier)
        failed = [job for job in current if holds(job, "Failed")]
        if failed:
            self._apply_failure_policy(jobset, failed)
        elif _is_successful(jobset, current):
            message = "jobset completed successfully"
            self._finish(jobset, "Completed", "AllJobsCompleted", message)
        else:
            self._make_jobs(jobset, jobs, is_blocked=bool(earlier))
            self._suspend(jobset, current)
        return math.inf

    def _live_on(self, jobset: Object) -> float:
        keep = jobset["spec"].get("ttlSecondsAfterFinished")
        if keep is None or "deletionTimestamp" in jobset["metadata"]:
            return math.inf
        ended = condition_of(jobset, "Completed") or condition_of(jobset, "Failed")
        assert ended is not None
        left = float(keep) - seconds_since(ended["lastTransitionTime"])
        if left <= 0:
            delete(self.store, "jobsets", jobset, "Foreground")
        return max(left, 0.0)

    def _delete(self, jobs: list[Object]) -> None:
        for job in jobs:
            if "deletionTimestamp" not in job["metadata"]:
                delete(self.store, "jobs", job, "Foreground")

    def _apply_failure_policy(self, jobset: Object, failed: list[Object]) -> None:
        status, policy = jobset["status"], jobset["spec"].get("failurePolicy")
        failed = sorted(failed, key=failure_time)
        if policy is None:
            message = because("jobset failed due to one or more job failures", failed[0])
            self._finish(jobset, "Failed", "FailedJobs", message)
            return
        action, job = decide(policy, failed)
        is_counted = action == "RestartJobSet"
        if action == "FailJobSet":
            message = because("applying FailJobSet failure policy action", job)
            self._finish(jobset, "Failed", "FailJobSetFailurePolicyAction", message)
        elif is_counted and status["restartsCountTowardsMax"] >= policy.get("maxRestarts", 0):
            message = because("jobset failed due to reaching max number of restarts", job)
            self._finish(jobset, "Failed", "ReachedMaxRestarts", message)
        else:
            status["restarts"] += 1
            status["restartsCountTowardsMax"] += is_counted
            message = because(f"applying {action} failure policy action", job)
            record(self.store, jobset, f"{action}FailurePolicyAction", message, _COMPONENT)

    def _finish(self, jobset: Object, kind: str, reason: str, message: str) -> None:
        set_condition(jobset, kind, "True", reason, message)
        jobset["status"]["terminalState"] = kind
        record(self.store, jobset, reason, message, _COMPONENT)

    def _make_jobs(self, jobset: Object, jobs: list[Object], *, is_blocked: bool) -> None:
        policy = jobset["spec"].get("failurePolicy") or {}
        if is_blocked and policy.get("restartStrategy") == "BlockingRecreate":
            return
        there = {job["metadata"]["name"] for job in jobs}
        for replicated in jobset["spec"]["replicatedJobs"]:
            for index in range(replicated["replicas"]):
                job = child_job(jobset, replicated, index)
                if job["metadata"]["name"] not in there:
                    try:
                        self._create(job)
                    except ApiError:
                        return

    def _suspend(self, jobset: Object, jobs: list[Object]) -> None:
        wanted = bool(jobset["spec"].get("suspend"))
        for job in jobs:
            if bool(job["spec"].get("suspend")) != wanted and not is_finished(job):
                self.store.change("jobs", job, lambda job: job["spec"].update(suspend=wanted))
        if wanted:
            set_condition(jobset, "Suspended", "True", "SuspendedJobs", "jobset is suspended")
        elif holds(jobset, "Suspended"):
            set_condition(jobset, "Suspended", "False", "ResumeJobs", "jobset is resumed")


def is_jobset_finished(jobset: Object) -> bool:
    """Return whether a JobSet has ended."""
    return holds(jobset, "Completed") or holds(jobset, "Failed")


def child_job(jobset: Object, replicated: Object, index: int) -> Object:
    """Return a Job of a JobSet, as its controller asks for it."""
    template = copy.deepcopy(replicated["template"])
    job = {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {
            **(template.get("metadata") or {}),
            "name": f"{jobset['metadata']['name']}-{replicated['name']}-{index}",
            "namespace": jobset["metadata"]["namespace"],
            "ownerReferences": [owned_by(jobset)],
        },
        "spec": template["spec"],
    }
    job["spec"]["suspend"] = bool(jobset["spec"].get("suspend"))
    pod = job["spec"].setdefault("template", {})
    for each in (job, pod):
        _label(each.setdefault("metadata", {}), jobset, replicated, index)
    if (jobset["spec"].get("network") or {}).get("enableDNSHostnames"):
        pod["spec"]["subdomain"] = _subdomain(jobset)
    return job


def _label(meta: Object, jobset: Object, replicated: Object, index: int) -> None:
    """Write the labels of JobSet, which are annotations as well."""
    own, all_jobs = jobset["metadata"], jobset["spec"]["replicatedJobs"]
    before = 0
    for each in all_jobs:
        if each["name"] == replicated["name"]:
            break
        before += each["replicas"]
    job_name = f"{own['name']}-{replicated['name']}-{index}"
    key = hashlib.sha1(f"{own['namespace']}/{job_name}".encode(), usedforsecurity=False)
    said = {
        "jobset-name": own["name"],
        "jobset-uid": own["uid"],
        "replicatedjob-name": replicated["name"],
        "restart-attempt": jobset["status"]["restarts"],
        "replicatedjob-replicas": replicated["replicas"],
        "global-replicas": sum(each["replicas"] for each in all_jobs),
        "job-index": index,
        "job-key": key.hexdigest(),
        "job-global-index": before + index,
    }
    if (coordinator := jobset["spec"].get("coordinator")) is not None:
        numbers = f"{coordinator.get('jobIndex', 0)}-{coordinator.get('podIndex', 0)}"
        host = f"{own['name']}-{coordinator['replicatedJob']}-{numbers}"
        said["coordinator"] = f"{host}.{_subdomain(jobset)}"
    for field in ("labels", "annotations"):
        values = {f"{PREFIX}{name}": str(value) for name, value in said.items()}
        meta[field] = {**(meta.get(field) or {}), **values}
    if topology := (own.get("annotations") or {}).get(EXCLUSIVE):
        meta["annotations"][EXCLUSIVE] = topology


def _subdomain(jobset: Object) -> str:
    return str(jobset["spec"]["network"].get("subdomain") or jobset["metadata"]["name"])


def _is_successful(jobset: Object, jobs: list[Object]) -> bool:
    policy = jobset["spec"]["successPolicy"]
    targets = policy.get("targetReplicatedJobs") or [
        each["name"] for each in jobset["spec"]["replicatedJobs"]
    ]
    done = [
        job
        for job in jobs
        if holds(job, "Complete")
        and job["metadata"]["labels"][f"{PREFIX}replicatedjob-name"] in targets
    ]
    wanted = sum(
        each["replicas"] for each in jobset["spec"]["replicatedJobs"] if each["name"] in targets
    )
    return bool(done) and (policy["operator"] == "Any" or len(done) >= wanted)


def _replicas_status(replicated: Object, jobs: list[Object]) -> Object:
    own = [
        job
        for job in jobs
        if job["metadata"]["labels"][f"{PREFIX}replicatedjob-name"] == replicated["name"]
    ]
    alive = [job for job in own if not is_finished(job)]
    return {
        "name": replicated["name"],
        "ready": sum(_is_ready(job) for job in alive),
        "succeeded": sum(holds(job, "Complete") for job in own),
        "failed": sum(holds(job, "Failed") for job in own),
        "active": sum(job.get("status", {}).get("active", 0) > 0 for job in alive),
        "suspended": sum(bool(job["spec"].get("suspend")) for job in alive),
    }


def _is_ready(job: Object) -> bool:
    status = job.get("status", {})
    wanted = min(job["spec"]["parallelism"], job["spec"].get("completions") or math.inf)
    return bool(status.get("succeeded", 0) + status.get("ready", 0) >= wanted)
