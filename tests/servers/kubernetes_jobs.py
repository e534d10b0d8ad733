"""The controller of Jobs in the tests' Kubernetes.

Source: the page on Jobs, and the order in which `pkg/controller/job` looks at things. Success
policies and limits by index are not known: such Jobs are refused (`kubernetes_checks`).
"""

from __future__ import annotations

import copy
import math
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from .kubernetes_deletion import delete, remove_finalizer
from .kubernetes_events import record
from .kubernetes_job_pods import TRACKING, make_pod
from .kubernetes_job_rules import (
    index_of,
    is_failed,
    judge,
    parse_indexes,
    write_indexes,
)
from .kubernetes_resources import (
    Object,
    condition_of,
    holds,
    now,
    owner_of,
    seconds_since,
    set_condition,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

    from .kubernetes_store import Store

_FIRST_DELAY, _LONGEST_DELAY = 10.0, 600.0
_TERMINAL = ("Succeeded", "Failed")
_LIMIT = "Job has reached the specified backoff limit"
_DEADLINE = "Job was active longer than specified deadline"


@dataclass(slots=True)
class _Failures:
    """How often a Job's pods have failed since one succeeded, and when the last did."""

    count: int = 0
    last: float = 0.0


class JobController:
    """Makes the pods of Jobs, counts their ends, and says when a Job has ended.

    `delay` shortens the pauses before a failed pod is replaced: 10 s, 20 s, ... times this.
    """

    def __init__(self, store: Store) -> None:
        self.store = store
        self.delay = 0.01
        self._failures: dict[str, _Failures] = {}

    def sync(self) -> float:
        """Look at all Jobs; return in how many seconds something is due again."""
        jobs, pods = self.store.list("jobs"), self.store.list("pods")
        by_owner: dict[str, list[Object]] = {job["metadata"]["uid"]: [] for job in jobs}
        for pod in pods:
            owner = owner_of(pod)
            if owner in by_owner:
                by_owner[owner].append(pod)
            elif TRACKING in pod["metadata"].get("finalizers", ()):
                remove_finalizer(self.store, "pods", pod, TRACKING)
        return min(
            (self._sync(job, by_owner[job["metadata"]["uid"]]) for job in jobs), default=math.inf
        )

    def _sync(self, job: Object, pods: list[Object]) -> float:
        if is_finished(job):
            for pod in pods:
                if TRACKING in pod["metadata"].get("finalizers", ()):
                    remove_finalizer(self.store, "pods", pod, TRACKING)
            return self._live_on(job)
        edited = copy.deepcopy(job)
        due = self._advance(edited, pods)
        self.store.change("jobs", job, lambda job: job.update(status=edited["status"]))
        return due

    def _live_on(self, job: Object) -> float:
        """Delete a finished Job when its time has come."""
        keep = job["spec"].get("ttlSecondsAfterFinished")
        if keep is None or "deletionTimestamp" in job["metadata"]:
            return math.inf
        ended = condition_of(job, "Complete") or condition_of(job, "Failed")
        assert ended is not None
        left = float(keep) - seconds_since(ended["lastTransitionTime"])
        if left <= 0:
            delete(self.store, "jobs", job, "Foreground")
        return max(left, 0.0)

    def _advance(self, job: Object, pods: list[Object]) -> float:
        """Bring the status of a Job up to date, and make or end pods."""
        status = job.setdefault("status", {})
        if "startTime" not in status and not job["spec"].get("suspend"):
            status["startTime"] = now()
        tracked = [pod for pod in pods if TRACKING in pod["metadata"].get("finalizers", ())]
        failed = [pod for pod in tracked if is_failed(job, pod)]
        verdicts = {pod["metadata"]["uid"]: judge(job, pod) for pod in failed}
        succeeded = [pod for pod in tracked if _phase(pod) == "Succeeded"]
        self._remember(job, succeeded, failed)
        counted = sum(verdict.is_counted for verdict in verdicts.values())
        status["failed"] = status.get("failed", 0) + counted
        self._count_successes(job, succeeded)
        for pod in (*succeeded, *failed):
            remove_finalizer(self.store, "pods", pod, TRACKING)
        messages = [verdict.message for verdict in verdicts.values() if verdict.message]
        self._set_target(job, pods, messages)
        return self._manage(job, [pod for pod in pods if pod not in failed])

    def _remember(self, job: Object, succeeded: list[Object], failed: list[Object]) -> None:
        record = self._failures.setdefault(job["metadata"]["uid"], _Failures())
        if succeeded:
            record.count = 0
        if failed:
            record.count += len(failed)
            record.last = time.monotonic()

    def _count_successes(self, job: Object, succeeded: Iterable[Object]) -> None:
        status = job["status"]
        if job["spec"]["completionMode"] == "Indexed":
            done = parse_indexes(status.get("completedIndexes", ""))
            done |= {index_of(pod) for pod in succeeded}
            status["completedIndexes"] = write_indexes(done)
            status["succeeded"] = len(done)
        else:
            status["succeeded"] = status.get("succeeded", 0) + len(list(succeeded))

    def _set_target(self, job: Object, pods: list[Object], messages: list[str]) -> None:
        """Say that a Job is going to fail, if it is."""
        spec, status = job["spec"], job["status"]
        if holds(job, "FailureTarget") or holds(job, "SuccessCriteriaMet"):
            return
        restarts = sum(
            each["restartCount"]
            for pod in pods
            for each in pod.get("status", {}).get("containerStatuses", ())
        )
        limit = spec["backoffLimit"]
        past = spec["template"]["spec"].get("restartPolicy") == "OnFailure" and (
            restarts >= limit if limit else restarts > 0
        )
        if messages:
            set_condition(job, "FailureTarget", "True", "PodFailurePolicy", messages[0])
        elif status["failed"] > limit or past:
            set_condition(job, "FailureTarget", "True", "BackoffLimitExceeded", _LIMIT)
        elif self._left(job) <= 0:
            set_condition(job, "FailureTarget", "True", "DeadlineExceeded", _DEADLINE)

    def _left(self, job: Object) -> float:
        deadline = job["spec"].get("activeDeadlineSeconds")
        started = job["status"].get("startTime")
        if deadline is None or started is None or job["spec"].get("suspend"):
            return math.inf
        return float(deadline) - seconds_since(started)

    def _manage(self, job: Object, pods: list[Object]) -> float:
        spec, status = job["spec"], job["status"]
        alive = [pod for pod in pods if _phase(pod) not in _TERMINAL]
        leaving = [pod for pod in alive if "deletionTimestamp" in pod["metadata"]]
        active = [pod for pod in alive if pod not in leaving]
        due = math.inf
        if holds(job, "FailureTarget"):
            self._end(job, active, counts=True)
            leaving, active = [*leaving, *active], []
            if not any(pod["spec"].get("nodeName") for pod in leaving):
                self._finish(job, "Failed", "FailureTarget")
        elif _is_complete(job, active):
            set_condition(job, "SuccessCriteriaMet", "True", "CompletionsReached")
            self._end(job, active, counts=False)
            if not leaving:
                self._finish(job, "Complete", "SuccessCriteriaMet")
        elif "deletionTimestamp" not in job["metadata"]:
            if spec.get("suspend"):
                self._end(job, active, counts=False)
                leaving, active = [*leaving, *active], []
                if set_condition(job, "Suspended", "True", "JobSuspended", "Job suspended"):
                    record(self.store, job, "Suspended", "Job suspended", "job-controller")
            else:
                if holds(job, "Suspended"):
                    set_condition(job, "Suspended", "False", "JobResumed", "Job resumed")
                    status["startTime"] = now()
                due = self._fill(job, active, leaving)
        status["active"] = len(active)
        status["terminating"] = len(leaving)
        status["ready"] = sum(holds(pod, "Ready") for pod in active)
        status["uncountedTerminatedPods"] = {}
        return min(due, max(self._left(job), 0.0)) if not is_finished(job) else due

    def _end(self, job: Object, active: list[Object], *, counts: bool) -> None:
        """Delete pods; those of a Job that fails count as failed."""
        for pod in active:
            if counts and TRACKING in pod["metadata"].get("finalizers", ()):
                job["status"]["failed"] += judge(job, pod).is_counted
            remove_finalizer(self.store, "pods", pod, TRACKING)
            delete(self.store, "pods", pod)
            record(self.store, job, "SuccessfulDelete", f"Deleted pod: {pod['metadata']['name']}")

    def _finish(self, job: Object, kind: str, target: str) -> None:
        why = condition_of(job, target) or {}
        reason, message = why.get("reason", ""), why.get("message", "")
        set_condition(job, kind, "True", reason, message)
        if kind == "Complete":
            job["status"]["completionTime"] = now()
            record(self.store, job, "Completed", "Job completed", "job-controller")
        else:
            record(self.store, job, reason, message, "job-controller")

    def _fill(self, job: Object, active: list[Object], leaving: list[Object]) -> float:
        """Make the pods that are missing; return in how many seconds it may, if not now."""
        spec, status = job["spec"], job["status"]
        wanted = spec["parallelism"]
        if (completions := spec.get("completions")) is not None:
            wanted = min(wanted, completions - status["succeeded"])
        elif status["succeeded"]:
            wanted = len(active)
        if spec["podReplacementPolicy"] == "Failed":
            wanted -= len(leaving)
        missing = wanted - len(active)
        if missing < 0:
            self._end(job, active[missing:], counts=False)
        if missing <= 0:
            return math.inf
        failures = self._failures[job["metadata"]["uid"]]
        if failures.count:
            pause = min(_FIRST_DELAY * 2 ** (failures.count - 1), _LONGEST_DELAY) * self.delay
            left: float = failures.last + pause - time.monotonic()
            if left > 0:
                return left
        for index in self._indexes(job, [*active, *leaving], missing):
            make_pod(self.store, job, index)
            active.append({})
        active[:] = [pod for pod in self.store.list("pods") if _is_active_of(pod, job)]
        return math.inf

    def _indexes(self, job: Object, alive: list[Object], missing: int) -> list[int | None]:
        if job["spec"]["completionMode"] != "Indexed":
            return [None] * missing
        taken = {index_of(pod) for pod in alive}
        taken |= parse_indexes(job["status"]["completedIndexes"])
        free = (i for i in range(job["spec"].get("completions", 0)) if i not in taken)
        return [index for index, _ in zip(free, range(missing), strict=False)]


def is_finished(job: Object) -> bool:
    """Return whether a Job has ended."""
    return holds(job, "Complete") or holds(job, "Failed")


def _is_complete(job: Object, active: list[Object]) -> bool:
    succeeded, wanted = job["status"]["succeeded"], job["spec"].get("completions")
    if holds(job, "SuccessCriteriaMet"):
        return True
    if wanted is None:
        return succeeded > 0 and not active
    return bool(succeeded >= wanted)


def _is_active_of(pod: Object, job: Object) -> bool:
    return (
        owner_of(pod) == job["metadata"]["uid"]
        and _phase(pod) not in _TERMINAL
        and "deletionTimestamp" not in pod["metadata"]
    )


def _phase(pod: Object) -> str:
    return str(pod.get("status", {}).get("phase", ""))
