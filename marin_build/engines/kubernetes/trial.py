"""A trial of a cluster: a tiny Job is created, followed, evicted and deleted again.

It shows an owner of a cluster that what the engine relies on holds there: rights, images, evictions
that count as no failure, and deletion with all pods.
"""

from __future__ import annotations

import os
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from marin_build.engines.jobs import JobRefusedError
from marin_build.engines.kubernetes.api_errors import CONFLICT, ApiError, refusal
from marin_build.engines.kubernetes.labels import MANAGED, OURS
from marin_build.errors import MarinBuildError, StoppedError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from marin_build.engines.kubernetes.cluster_api import ClusterApi
    from marin_build.engines.kubernetes.settings import KubernetesSettings

_SAID = "marin-build was here"
_NAME = "marin-build/trial"
_PATIENCE = 600.0
"""Seconds for each thing to happen: a node may have to be added first, and an image pulled."""
_PAUSE = 0.5


def trial(api: ClusterApi, settings: KubernetesSettings) -> Iterator[str]:
    """Try a cluster; yield a line for each thing that holds, as it is seen.

    Nothing stays in the cluster, unless its server goes away meanwhile.

    Raises:
        StoppedError: something does not hold.
        QueueAwayError: the server gives no answer.

    """
    name = f"marin-build-trial-{os.urandom(4).hex()}"
    job = _job(name, settings)
    try:
        yield from _steps(api, name, job)
    except ApiError as error:
        found = refusal(error, "a trial")
        if isinstance(found, JobRefusedError):
            raise _broken(found.what, found.hint) from error
        raise found from error
    finally:
        _delete(api, name)
    _until(lambda: api.get("Job", name) is None and not _pods(api, name), "it is not deleted")
    yield "delete: the Job and its pods are gone"


def _steps(api: ClusterApi, name: str, job: dict[str, Any]) -> Iterator[str]:
    api.create("Job", job, dry_run=True)
    yield f"dry run: the server takes a Job in the namespace {api.namespace}"
    api.create("Job", job)
    yield f"create: {name}"
    try:
        api.create("Job", job)
    except ApiError as error:
        if error.status != CONFLICT:
            raise
    else:
        raise _broken("a second Job of the same name was taken")
    yield "create again: refused, so no job runs twice"
    if not api.list_all("Job", labels=f"{_NAME}={name}"):
        raise _broken("a list by its label does not find the Job")
    yield "list: found by its label"
    pod = _until(lambda: _running(api, name), "no pod runs", lambda: _why(api, name))
    yield f"run: a pod runs on {pod['spec'].get('nodeName', 'a node')}"
    uid, pod_name = pod["metadata"]["uid"], pod["metadata"]["name"]
    _until(lambda: _SAID.encode() in api.log(pod_name, 10, 4096), "its log is empty")
    yield "log: readable"
    api.evict(pod_name)
    _until(lambda: _running(api, name, other_than=uid), "an evicted pod is not replaced")
    status = (api.get("Job", name) or {}).get("status", {})
    if status.get("failed"):
        raise _broken("an eviction counts as a failed try")
    yield "evict: another pod runs, and no failed try was counted"


def has_jobsets(api: ClusterApi) -> bool:
    """Return whether the cluster knows JobSets, which steps on several hosts need.

    Raises:
        QueueAwayError: the server gives no answer.

    """
    try:
        api.list_all("JobSet", labels=f"{_NAME}=none")
    except ApiError:
        return False
    return True


def _job(name: str, settings: KubernetesSettings) -> dict[str, Any]:
    """Return a Job that waits, and asks for nearly nothing."""
    if settings.image is None:
        raise StoppedError(
            "a trial needs an image with a shell",
            consequence="nothing was created",
            hint="set `image` in [tool.marin-build.kubernetes]",
        )
    labels = {MANAGED: OURS, _NAME: name}
    queue = {"kueue.x-k8s.io/queue-name": settings.queue} if settings.queue else {}
    amounts = {"cpu": "100m", "memory": "64Mi"}
    container = {
        "name": "main",
        "image": settings.image,
        "command": ["sh", "-c", f"echo {_SAID}; exec sleep 3600"],
        "resources": {"requests": amounts, "limits": {"memory": "64Mi"}},
    }
    spec: dict[str, Any] = {
        "restartPolicy": "Never",
        "terminationGracePeriodSeconds": 5,
        "containers": [container],
    }
    if settings.service_account:
        spec["serviceAccountName"] = settings.service_account
    uncounted = {"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget"}]}
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": name, "labels": {**labels, **queue}},
        "spec": {
            "backoffLimit": 0,
            "activeDeadlineSeconds": 3600,
            "ttlSecondsAfterFinished": 60,
            "podFailurePolicy": {"rules": [uncounted]},
            "template": {"metadata": {"labels": labels}, "spec": spec},
        },
    }


def _pods(api: ClusterApi, name: str) -> list[dict[str, Any]]:
    return api.list_all("Pod", labels=f"{_NAME}={name}")


def _running(api: ClusterApi, name: str, other_than: str = "") -> dict[str, Any] | None:
    for pod in _pods(api, name):
        is_running = pod.get("status", {}).get("phase") == "Running"
        is_ending = "deletionTimestamp" in pod["metadata"]
        if is_running and not is_ending and pod["metadata"]["uid"] != other_than:
            return pod
    return None


def _why(api: ClusterApi, name: str) -> str:
    """Return why the pods wait, in the words of the cluster."""
    for pod in _pods(api, name):
        status: Mapping[str, Any] = pod.get("status", {})
        containers = status.get("containerStatuses", ())
        waiting = [one.get("state", {}).get("waiting") or {} for one in containers]
        for said in (*waiting, *status.get("conditions", ())):
            if said.get("message"):
                return f"{said.get('reason', '')}: {said['message']}"
    return ""


def _delete(api: ClusterApi, name: str) -> None:
    with suppress(ApiError, MarinBuildError):  # if the server is away, its time to live ends it
        api.delete("Job", name, propagation_policy="Background", grace_period_seconds=0)


def _until(happens: Callable[[], Any], otherwise: str, why: Callable[[], str] = lambda: "") -> Any:
    """Return what happens; wait for it."""
    deadline = time.monotonic() + _PATIENCE
    while not (found := happens()):
        if time.monotonic() > deadline:
            said = why()
            raise _broken(f"{otherwise} after {_PATIENCE:.0f} s{f': {said}' if said else ''}")
        time.sleep(_PAUSE)
    return found


def _broken(what: str, hint: str | None = None) -> StoppedError:
    return StoppedError(
        "the cluster does not do what jobs rely on",
        facts=[("reason", what)],
        consequence="the trial was ended, and what it created is deleted",
        hint=hint,
    )
