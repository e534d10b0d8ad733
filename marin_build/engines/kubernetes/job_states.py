"""What the status of a Job or a JobSet, with its pods, means. Pure.

Sources: batch/v1 Job of Kubernetes 1.36, JobSet v1alpha2. Only what has stayed the same since 1.27
is read.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from marin_build.engines.jobs import JobState, Phase
from marin_build.engines.kubernetes.json_objects import (
    Object,
    conditions_of,
    first_said,
    short_words,
    table_at,
    text_at,
)
from marin_build.engines.kubernetes.pod_states import (
    DISRUPTED,
    cause_of_code,
    cause_of_pod,
    end_of,
    how_it_ended,
    nodes_of,
    phase_of,
    waiting_for,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from marin_build.pipeline.retries import Cause

_ENDED = {"Complete", "Completed", "Failed"}
"""Conditions of a Job, or of a JobSet, that has ended with all its pods."""
_EXIT_CODE = re.compile(r"failed with exit code (\d{1,3})\b")
"""In the message of a Job that a rule of its `podFailurePolicy` has ended."""
NO_POD = JobState(Phase.QUEUED, "no pod yet")
"""The state of a job that nothing keeps from having pods, as far as it says itself."""


def has_ended(job: Object) -> bool:
    """Return whether a Job or a JobSet has ended."""
    return bool(_ENDED & conditions_of(job).keys())


def has_failed(job: Object) -> bool:
    """Return whether it has ended badly."""
    return "Failed" in conditions_of(job)


def is_going(job: Object) -> bool:
    """Return whether a person or a controller has deleted it, and its pods still end."""
    return bool(table_at(job, "metadata").get("deletionTimestamp"))


def job_state(job: Object, pods: Sequence[Object], children: Sequence[Object] = ()) -> JobState:
    """Return what a Job or JobSet and its pods say.

    Args:
        job: the Job or JobSet.
        pods: its pods; of one that failed those that ended, too.
        children: the Jobs of a JobSet that failed.

    """
    ends = conditions_of(job)
    if "Failed" in ends:
        return _failed(job, pods, children)
    if done := ends.keys() & _ENDED:
        return JobState(Phase.ENDED, min(done))
    running = [pod for pod in pods if phase_of(pod) == "Running"]
    place = nodes_of(running)
    if is_going(job):
        return JobState(Phase.RUNNING, "it was deleted, and is ending", place=place)
    if "Suspended" in ends or table_at(job, "spec").get("suspend") is True:
        return JobState(Phase.QUEUED, "Suspended: its queue has not admitted it")
    if not running:
        return JobState(Phase.QUEUED, first_said(map(waiting_for, pods)) or NO_POD.words)
    others = len([pod for pod in pods if phase_of(pod) == "Pending"])
    said = f"{len(running)} of {len(running) + others} pods run" if others else ""
    return JobState(Phase.RUNNING, said, place=place)


def gone_state(pods: Sequence[Object]) -> JobState:
    """Return the state of a Job that a complete list does not name any more: it was deleted.

    Args:
        pods: those that it left, and that have not ended.

    """
    if pods:
        return JobState(Phase.RUNNING, "it was deleted, and its pods end", place=nodes_of(pods))
    return JobState(Phase.ENDED, "CANCELLED: it was deleted")


def _failed(job: Object, pods: Sequence[Object], children: Sequence[Object]) -> JobState:
    """Return how a job ended badly: a JobSet as that of its Jobs which failed first."""
    said = conditions_of(job)["Failed"]
    broken = [child for child in children if "Failed" in conditions_of(child)]
    first = min(broken, key=lambda child: _moment(conditions_of(child)["Failed"]), default=None)
    cause_said = conditions_of(first)["Failed"] if first is not None else said
    reason, message = text_at(cause_said, "reason"), text_at(cause_said, "message")
    ended = [pod for pod in pods if phase_of(pod) == "Failed"]
    # Of a gang the others end with the first one; of several tries the last one decided.
    is_gang = bool(children) or job.get("kind") == "JobSet"
    ended.sort(key=end_of, reverse=not is_gang)
    pod_said = first_said(map(how_it_ended, ended))
    words = ": ".join(part for part in (f"Failed ({reason})", pod_said or message) if part)
    cause = _cause_of_reason(reason, message, ended[0] if ended else {})
    return JobState(Phase.ENDED, short_words(words), cause)


def _cause_of_reason(reason: str, message: str, pod: Object) -> Cause | None:
    """Return why a Job failed; None: what its program says about that counts."""
    if reason == "DeadlineExceeded":
        return "timeout"
    of_pod = cause_of_pod(pod)
    if of_pod is not None or reason != "PodFailurePolicy":
        return of_pod
    if DISRUPTED in message:
        return "infra"
    found = _EXIT_CODE.search(message)
    return cause_of_code(int(found[1])) if found else None


def _moment(condition: Object) -> str:
    return text_at(condition, "lastTransitionTime")
