"""Jobs and JobSets for tests of the stand-in for Kubernetes; their containers run shell scripts."""

from __future__ import annotations

import json
from itertools import count
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest
from kubernetes import client, config, watch
from kubernetes.client import ApiException

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

NAMESPACE = "default"
GANGS = ("jobset.x-k8s.io", "v1alpha2", NAMESPACE, "jobsets")
JOBS = ("batch", "v1", NAMESPACE, "jobs")
TOPOLOGY = "2x2x2"
LONG = "exec sleep 600"
DISRUPTED = {
    "action": "Ignore",
    "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}],
}
_numbers = count(1)


class Clients(NamedTuple):
    """The official client, by groups of the API. Its types know no objects as dictionaries."""

    batch: Any
    core: Any
    custom: Any


def clients_of(kubeconfig: Path) -> Clients:
    """Return the official client, as it is made from a kubeconfig."""
    make: Any = config.new_client_from_config
    api = make(str(kubeconfig))
    return Clients(client.BatchV1Api(api), client.CoreV1Api(api), client.CustomObjectsApi(api))


def new_name(word: str) -> str:
    """Return a name that no other test uses."""
    return f"{word}-{next(_numbers)}"


def job(
    name: str,
    script: str = "exit 0",
    *,
    labels: dict[str, str] | None = None,
    container: dict[str, Any] | None = None,
    pod: dict[str, Any] | None = None,
    **spec: Any,
) -> dict[str, Any]:
    """Return a Job whose container runs a script; one more failure is allowed by `backoffLimit`."""
    main = {"name": "main", "image": "tests", "command": ["sh", "-c", script], **(container or {})}
    template = {"restartPolicy": "Never", "containers": [main], **(pod or {})}
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": name, "labels": labels or {}},
        "spec": {"backoffLimit": 0, "template": {"spec": template}, **spec},
    }


def gang(
    name: str,
    script: str,
    *,
    slices: int = 2,
    restarts: int = 1,
    rules: tuple[dict[str, Any], ...] = (),
    pod_rules: tuple[dict[str, Any], ...] = (),
) -> dict[str, Any]:
    """Return a JobSet: slices of a TPU with two hosts each, one coordinator, whole restarts."""
    slice_of = {"fieldRef": {"fieldPath": "metadata.labels['jobset.sigs.k8s.io/job-index']"}}
    leader = {"fieldRef": {"fieldPath": "metadata.annotations['jobset.sigs.k8s.io/coordinator']"}}
    disrupted = {
        "action": "FailJob",
        "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}],
    }
    main = {
        "name": "main",
        "image": "tests",
        "command": ["sh", "-c", script],
        "env": [{"name": "SLICE", "valueFrom": slice_of}, {"name": "LEADER", "valueFrom": leader}],
        "resources": {"limits": {"google.com/tpu": 4}},
    }
    pod = {
        "restartPolicy": "Never",
        "nodeSelector": {"cloud.google.com/gke-tpu-topology": TOPOLOGY},
        "tolerations": [{"key": "google.com/tpu", "operator": "Exists"}],
        "containers": [main],
    }
    inner = {
        "parallelism": 2,
        "completions": 2,
        "backoffLimit": 0,
        "podFailurePolicy": {"rules": [disrupted, *pod_rules]},
        "template": {"spec": pod},
    }
    exclusive = "alpha.jobset.sigs.k8s.io/exclusive-topology"
    return {
        "apiVersion": "jobset.x-k8s.io/v1alpha2",
        "kind": "JobSet",
        "metadata": {"name": name, "annotations": {exclusive: "cloud.google.com/gke-nodepool"}},
        "spec": {
            "coordinator": {"replicatedJob": "w"},
            "failurePolicy": {
                "maxRestarts": restarts,
                "restartStrategy": "BlockingRecreate",
                "rules": list(rules),
            },
            "replicatedJobs": [{"name": "w", "replicas": slices, "template": {"spec": inner}}],
        },
    }


def start(api: Clients, word: str, script: str, **spec: Any) -> str:
    """Create a Job, and return its name."""
    name = new_name(word)
    api.batch.create_namespaced_job(NAMESPACE, job(name, script, **spec))
    return name


def name_of(pod: dict[str, Any]) -> str:
    """Return the name of a pod."""
    return str(pod["metadata"]["name"])


def end_of(pod: dict[str, Any]) -> dict[str, Any]:
    """Return how the first container of a pod has ended."""
    found: dict[str, Any] = pod["status"]["containerStatuses"][0]["state"]["terminated"]
    return found


def watched(jobs: Any, **asked: Any) -> list[Any]:
    """Return all events of a watch of Jobs, which ends by itself after a second."""
    make: Any = watch.Watch
    return list(make().stream(jobs, NAMESPACE, timeout_seconds=1, **asked))


def status_of(asked: Callable[[], object]) -> dict[str, Any]:
    """Return the `Status` of a request that is refused; its code is that of the answer."""
    with pytest.raises(ApiException) as caught:
        asked()
    status: dict[str, Any] = json.loads(caught.value.body or "{}")
    assert (status["kind"], status["status"]) == ("Status", "Failure")
    assert status["code"] == caught.value.status
    return status
