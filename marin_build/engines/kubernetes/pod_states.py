"""What the status of a pod means. Pure.

Source: core/v1 Pod of Kubernetes 1.36; only what has stayed the same since 1.27 is read.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from marin_build.engines.kubernetes.json_objects import (
    Object,
    all_conditions,
    conditions_of,
    first_said,
    short_words,
    table_at,
    text_at,
)
from marin_build.pipeline.retries import INFRASTRUCTURE, KILLED, TIMED_OUT
from marin_build.text.readable import printable

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from marin_build.pipeline.retries import Cause

_SHOWN_NODES = 3
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
DISRUPTED = "DisruptionTarget"
_QUOTA = "exceeded quota"


def why_it_cannot_start(pods: Iterable[Object]) -> str:
    """Return why a container of these pods cannot start, if that does not pass by itself.

    Kubernetes tries again for ever, and what is missing may come: the caller decides for how long
    it waits.
    """
    return first_said(_problem(status) for pod in pods for status in _containers(pod))


def passes_by_itself(why: str) -> bool:
    """Return whether what keeps a pod from starting ends when other pods do."""
    return _QUOTA in why


def creation_problem(events: Sequence[Object]) -> str:
    """Return what the last of some events says of pods that could not be created."""
    last = max(events, key=lambda event: text_at(event, "lastTimestamp"), default={})
    return short_words(f"{text_at(last, 'reason')}: {text_at(last, 'message')}".strip(": "))


def owner_of(pod: Object) -> str:
    """Return the name of the Job or JobSet that a pod belongs to; empty if it says none."""
    labels = table_at(table_at(pod, "metadata"), "labels")
    names = ("jobset.sigs.k8s.io/jobset-name", "batch.kubernetes.io/job-name")
    return first_said(text_at(labels, name) for name in names)


def log_pod(pods: Sequence[Object]) -> str:
    """Return the name of the pod whose log tells most; empty if none has started.

    It is the last one that failed, or that runs; of a gang the first one that failed, since the
    others ended with it.
    """
    started = [pod for pod in pods if any(map(_has_started, _containers(pod)))]
    failed = sorted((pod for pod in started if phase_of(pod) == "Failed"), key=end_of)
    if failed:
        is_gang = "jobset.sigs.k8s.io/jobset-name" in table_at(
            table_at(failed[0], "metadata"), "labels"
        )
        return text_at(table_at(failed[0 if is_gang else -1], "metadata"), "name")
    last = max(started, key=_created, default={})
    return text_at(table_at(last, "metadata"), "name")


def cause_of_pod(pod: Object) -> Cause | None:
    """Return why a pod failed; None: what its program says about that counts."""
    conditions = conditions_of(pod)
    if DISRUPTED in conditions or text_at(table_at(pod, "status"), "reason") in _LOST:
        return "infra"
    for status in _containers(pod):
        ended = table_at(table_at(status, "state"), "terminated")
        if text_at(ended, "reason") == "OOMKilled":
            return "oom"
        if cause := cause_of_code(ended.get("exitCode")):
            return cause
    return None


def cause_of_code(code: object) -> Cause | None:
    """Return what an exit code says; a kill without a word of `OOMKilled` came from the node."""
    if code in {INFRASTRUCTURE, KILLED}:
        return "infra"
    return "timeout" if code == TIMED_OUT else None


def how_it_ended(pod: Object) -> str:
    """Return how a pod ended, in the words of its node or of its container."""
    status = table_at(pod, "status")
    if reason := text_at(status, "reason"):
        return short_words(f"{reason}: {text_at(status, 'message')}".rstrip(": "))
    disrupted = conditions_of(pod).get(DISRUPTED)
    if disrupted is not None:
        return short_words(
            f"{text_at(disrupted, 'reason')}: {text_at(disrupted, 'message')}".strip(": ")
        )
    for container in _containers(pod):
        ended = table_at(table_at(container, "state"), "terminated")
        if code := ended.get("exitCode"):
            reason = text_at(ended, "reason")
            return (
                f"{reason}, exit code {code}"
                if reason not in {"", "Error"}
                else f"exit code {code}"
            )
    return ""


def waiting_for(pod: Object) -> str:
    """Return what a pod waits for."""
    if why := why_it_cannot_start([pod]):
        return why
    scheduled = all_conditions(pod).get("PodScheduled", {})
    if scheduled.get("status") == "False":
        return short_words(
            f"{text_at(scheduled, 'reason')}: {text_at(scheduled, 'message')}".rstrip(": ")
        )
    reasons = (table_at(table_at(status, "state"), "waiting") for status in _containers(pod))
    return first_said(text_at(waiting, "reason") for waiting in reasons) or "Pending"


def _problem(status: Object) -> str:
    waiting = table_at(table_at(status, "state"), "waiting")
    reason = text_at(waiting, "reason")
    if reason not in _CANNOT_START:
        return ""
    return short_words(f"{reason}: {text_at(waiting, 'message')}".rstrip(": "))


def _containers(pod: Object) -> Iterator[Object]:
    status = table_at(pod, "status")
    for key in ("initContainerStatuses", "containerStatuses"):
        found = status.get(key)
        for one in found if isinstance(found, list) else ():
            if isinstance(one, dict):
                yield one


def _has_started(status: Object) -> bool:
    state = table_at(status, "state")
    return bool(table_at(state, "terminated") or table_at(state, "running"))


def _created(pod: Object) -> str:
    return text_at(table_at(pod, "metadata"), "creationTimestamp")


def phase_of(pod: Object) -> str:
    """Return the phase of a pod: `Running`."""
    return text_at(table_at(pod, "status"), "phase")


def end_of(pod: Object) -> str:
    """Return when a pod ended: ISO 8601, which sorts as text."""
    ends = (table_at(table_at(status, "state"), "terminated") for status in _containers(pod))
    return first_said(text_at(end, "finishedAt") for end in ends) or _created(pod)


def nodes_of(pods: Iterable[Object]) -> str:
    """Return the nodes of pods, for people: a gang has many."""
    nodes = sorted({name for pod in pods if (name := text_at(table_at(pod, "spec"), "nodeName"))})
    more = f" and {len(nodes) - _SHOWN_NODES} more" if len(nodes) > _SHOWN_NODES else ""
    return printable(", ".join(nodes[:_SHOWN_NODES]) + more)
