"""What the status of a Job or a JobSet, and of its pods, means. Pure.

Sources: batch/v1 Job and core/v1 Pod of Kubernetes 1.36, JobSet v1alpha2. Only what has stayed the
same since 1.27 is read. Objects are JSON as the server gives it, which other programs may have
written: what has another shape than expected counts as not said.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from marin_build.engines.jobs import JobState, Phase
from marin_build.pipeline.retries import INFRASTRUCTURE, KILLED, TIMED_OUT
from marin_build.text.readable import printable

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from marin_build.pipeline.retries import Cause

Object = dict[str, Any]
"""An object of the Kubernetes API."""

_ENDED = {"Complete", "Completed", "Failed"}
"""Conditions of a Job, or of a JobSet, that has ended with all its pods."""
_LOST = {
    "Evicted",
    "NodeAffinity",
    "NodeLost",
    "NodeShutdown",
    "Preempting",
    "Shutdown",
    "Terminated",
    "UnexpectedAdmissionError",
}
"""Reasons of the phase of a pod that its node, and not its program, has ended."""
_CANNOT_START = {
    "CreateContainerConfigError",
    "CreateContainerError",
    "ErrImageNeverPull",
    "ErrImagePull",
    "ImageInspectError",
    "ImagePullBackOff",
    "InvalidImageName",
    "RegistryUnavailable",
    "RunContainerError",
}
"""Reasons of a waiting container that is tried again for ever: its Job never fails for them."""
_EXIT_CODE = re.compile(r"failed with exit code (\d{1,3})\b")
"""In the message of a Job that a rule of its `podFailurePolicy` has ended."""
_DISRUPTED = "DisruptionTarget"
_LONGEST_WORDS, _SHOWN_NODES = 400, 3


def has_ended(job: Object) -> bool:
    """Return whether a Job or a JobSet has ended."""
    return bool(_ENDED & _conditions(job).keys())


def has_failed(job: Object) -> bool:
    """Return whether it has ended badly."""
    return "Failed" in _conditions(job)


def is_going(job: Object) -> bool:
    """Return whether somebody has deleted it, and its pods still end."""
    return bool(_table(job, "metadata").get("deletionTimestamp"))


def job_state(job: Object, pods: Sequence[Object], children: Sequence[Object] = ()) -> JobState:
    """Return what a Job or JobSet and its pods say.

    Args:
        job: the Job or JobSet.
        pods: its pods; of one that failed those that ended, too.
        children: the Jobs of a JobSet that failed.

    """
    ends = _conditions(job)
    if "Failed" in ends:
        return _failed(job, pods, children)
    if done := ends.keys() & _ENDED:
        return JobState(Phase.ENDED, min(done))
    running = [pod for pod in pods if _phase(pod) == "Running"]
    place = _nodes(running)
    if is_going(job):
        return JobState(Phase.RUNNING, "it was deleted, and is ending", place=place)
    if "Suspended" in ends or _table(job, "spec").get("suspend") is True:
        return JobState(Phase.QUEUED, "Suspended: its queue has not admitted it")
    if not running:
        return JobState(Phase.QUEUED, _first(map(_waiting, pods)) or "no pod yet")
    others = len([pod for pod in pods if _phase(pod) == "Pending"])
    said = f"{len(running)} of {len(running) + others} pods run" if others else ""
    return JobState(Phase.RUNNING, said, place=place)


def gone_state(pods: Sequence[Object]) -> JobState:
    """Return the state of a Job that a complete list does not name any more: it was deleted.

    Args:
        pods: those that it left, and that have not ended.

    """
    if pods:
        return JobState(Phase.RUNNING, "it was deleted, and its pods end", place=_nodes(pods))
    return JobState(Phase.ENDED, "CANCELLED: it was deleted")


def why_it_cannot_start(pods: Iterable[Object]) -> str:
    """Return why a container of these pods cannot start, if that does not pass by itself.

    Kubernetes tries again for ever, and what is missing may come: whoever asks decides for how long
    it waits.
    """
    return _first(_problem(status) for pod in pods for status in _containers(pod))


def owner_of(pod: Object) -> str:
    """Return the name of the Job or JobSet that a pod belongs to; empty if it says none."""
    labels = _table(_table(pod, "metadata"), "labels")
    names = ("jobset.sigs.k8s.io/jobset-name", "batch.kubernetes.io/job-name")
    return _first(_text(labels, name) for name in names)


def log_pod(pods: Sequence[Object]) -> str:
    """Return the name of the pod whose log tells most; empty if none has started.

    It is the last one that failed, or that runs; of a gang the first one that failed, since the
    others ended with it.
    """
    started = [pod for pod in pods if any(map(_has_started, _containers(pod)))]
    failed = sorted((pod for pod in started if _phase(pod) == "Failed"), key=_end_of)
    if failed:
        is_gang = "jobset.sigs.k8s.io/jobset-name" in _table(
            _table(failed[0], "metadata"), "labels"
        )
        return _text(_table(failed[0 if is_gang else -1], "metadata"), "name")
    last = max(started, key=_created, default={})
    return _text(_table(last, "metadata"), "name")


def _has_started(status: Object) -> bool:
    state = _table(status, "state")
    return bool(_table(state, "terminated") or _table(state, "running"))


def _created(pod: Object) -> str:
    return _text(_table(pod, "metadata"), "creationTimestamp")


def _failed(job: Object, pods: Sequence[Object], children: Sequence[Object]) -> JobState:
    """Return how a job ended badly: a JobSet as that of its Jobs which failed first."""
    said = _conditions(job)["Failed"]
    broken = [child for child in children if "Failed" in _conditions(child)]
    first = min(broken, key=lambda child: _moment(_conditions(child)["Failed"]), default=None)
    cause_said = _conditions(first)["Failed"] if first is not None else said
    reason, message = _text(cause_said, "reason"), _text(cause_said, "message")
    ended = [pod for pod in pods if _phase(pod) == "Failed"]
    # Of a gang the others end with the first one; of several tries the last one decided.
    is_gang = bool(children) or job.get("kind") == "JobSet"
    ended.sort(key=_end_of, reverse=not is_gang)
    pod_said = _first(map(_how_it_ended, ended))
    words = ": ".join(part for part in (f"Failed ({reason})", pod_said or message) if part)
    cause = _cause_of_reason(reason, message, ended[0] if ended else {})
    return JobState(Phase.ENDED, _short(words), cause)


def _cause_of_reason(reason: str, message: str, pod: Object) -> Cause | None:
    """Return why a Job failed; None: what its program says about that counts."""
    if reason == "DeadlineExceeded":
        return "timeout"
    of_pod = _cause_of_pod(pod)
    if of_pod is not None or reason != "PodFailurePolicy":
        return of_pod
    if _DISRUPTED in message:
        return "infra"
    found = _EXIT_CODE.search(message)
    return _cause_of_code(int(found[1])) if found else None


def _cause_of_pod(pod: Object) -> Cause | None:
    conditions = _conditions(pod)
    if _DISRUPTED in conditions or _text(_table(pod, "status"), "reason") in _LOST:
        return "infra"
    for status in _containers(pod):
        ended = _table(_table(status, "state"), "terminated")
        if _text(ended, "reason") == "OOMKilled":
            return "oom"
        if cause := _cause_of_code(ended.get("exitCode")):
            return cause
    return None


def _cause_of_code(code: object) -> Cause | None:
    """Return what an exit code says; a kill without a word of `OOMKilled` came from the node."""
    if code in {INFRASTRUCTURE, KILLED}:
        return "infra"
    return "timeout" if code == TIMED_OUT else None


def _how_it_ended(pod: Object) -> str:
    """Return how a pod ended, in the words of its node or of its container."""
    status = _table(pod, "status")
    if reason := _text(status, "reason"):
        return _short(f"{reason}: {_text(status, 'message')}".rstrip(": "))
    disrupted = _conditions(pod).get(_DISRUPTED)
    if disrupted is not None:
        return _short(f"{_text(disrupted, 'reason')}: {_text(disrupted, 'message')}".strip(": "))
    for container in _containers(pod):
        ended = _table(_table(container, "state"), "terminated")
        if code := ended.get("exitCode"):
            reason = _text(ended, "reason")
            return (
                f"{reason}, exit code {code}"
                if reason not in {"", "Error"}
                else f"exit code {code}"
            )
    return ""


def _waiting(pod: Object) -> str:
    """Return what a pod waits for."""
    if why := why_it_cannot_start([pod]):
        return why
    scheduled = _all_conditions(pod).get("PodScheduled", {})
    if scheduled.get("status") == "False":
        return _short(f"{_text(scheduled, 'reason')}: {_text(scheduled, 'message')}".rstrip(": "))
    reasons = (_table(_table(status, "state"), "waiting") for status in _containers(pod))
    return _first(_text(waiting, "reason") for waiting in reasons) or "Pending"


def _problem(status: Object) -> str:
    waiting = _table(_table(status, "state"), "waiting")
    reason = _text(waiting, "reason")
    if reason not in _CANNOT_START:
        return ""
    return _short(f"{reason}: {_text(waiting, 'message')}".rstrip(": "))


def _containers(pod: Object) -> Iterator[Object]:
    status = _table(pod, "status")
    for key in ("initContainerStatuses", "containerStatuses"):
        found = status.get(key)
        for one in found if isinstance(found, list) else ():
            if isinstance(one, dict):
                yield one


def _conditions(thing: Object) -> dict[str, Object]:
    """Return the conditions that hold, by type."""
    return {k: each for k, each in _all_conditions(thing).items() if each.get("status") == "True"}


def _all_conditions(thing: Object) -> dict[str, Object]:
    found = _table(thing, "status").get("conditions")
    entries = found if isinstance(found, list) else []
    return {_text(each, "type"): each for each in entries if isinstance(each, dict)}


def _phase(pod: Object) -> str:
    return _text(_table(pod, "status"), "phase")


def _end_of(pod: Object) -> str:
    """Return when a pod ended: ISO 8601, which sorts as text."""
    ends = (_table(_table(status, "state"), "terminated") for status in _containers(pod))
    return _first(_text(end, "finishedAt") for end in ends) or _created(pod)


def _moment(condition: Object) -> str:
    return _text(condition, "lastTransitionTime")


def _nodes(pods: Iterable[Object]) -> str:
    """Return the nodes of pods, for people: a gang has many."""
    nodes = sorted({name for pod in pods if (name := _text(_table(pod, "spec"), "nodeName"))})
    more = f" and {len(nodes) - _SHOWN_NODES} more" if len(nodes) > _SHOWN_NODES else ""
    return printable(", ".join(nodes[:_SHOWN_NODES]) + more)


def _first(texts: Iterable[str]) -> str:
    return next((text for text in texts if text), "")


def _short(text: str) -> str:
    """Return the first line of what a server says, as something that a terminal can show."""
    line = printable(next(iter(text.strip().splitlines()), ""))
    return line if len(line) <= _LONGEST_WORDS else f"{line[: _LONGEST_WORDS - 3]}..."


def _table(thing: Object, key: str) -> Object:
    found = thing.get(key)
    return found if isinstance(found, dict) else {}


def _text(thing: Object, key: str) -> str:
    found = thing.get(key)
    return found if isinstance(found, str) else ""
