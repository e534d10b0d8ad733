"""The nodes of the tests' Kubernetes, and its scheduler.

Faithful: requests of CPU, memory and devices, node selectors, required node affinity, taints, the
exclusive topology of JobSets, and the message of a pod that fits nowhere. Nothing is preempted.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING

from .kubernetes_events import record
from .kubernetes_resources import Object, condition_of, now, set_condition

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from .kubernetes_store import Store

EXCLUSIVE = "alpha.jobset.sigs.k8s.io/exclusive-topology"
_QUANTITY = re.compile(r"([+-]?[0-9.]+(?:[eE][+-]?[0-9]+)?)(m|[kMGTPE]?|[KMGTPE]i)")
_POWERS = "kMGTPE"
_TERMINAL = ("Succeeded", "Failed")


@dataclass(frozen=True, slots=True)
class Node:
    """A machine of the cluster.

    Args:
        name: its name.
        capacity: quantities by resource, `{"cpu": "8", "nvidia.com/gpu": "8"}`; those left out
            are generous, devices are none.
        labels: what selectors look at.
        taints: what pods must tolerate, `google.com/tpu=present`.

    """

    name: str
    capacity: Mapping[str, str] = field(default_factory=dict)
    labels: Mapping[str, str] = field(default_factory=dict)
    taints: Sequence[str] = ()

    def resource(self) -> Object:
        """Return what the API says of it."""
        usual = {"cpu": "64", "memory": "256Gi", "ephemeral-storage": "1Ti", "pods": "110"}
        capacity = {**usual, **self.capacity}
        taints = []
        for taint in self.taints:
            key, _, value = taint.partition("=")
            taints.append({"key": key, "value": value, "effect": "NoSchedule"})
        return {
            "apiVersion": "v1",
            "kind": "Node",
            "metadata": {
                "name": self.name,
                "labels": {"kubernetes.io/hostname": self.name, **self.labels},
            },
            "spec": {"taints": taints} if taints else {},
            "status": {
                "capacity": capacity,
                "allocatable": dict(capacity),
                "conditions": [
                    {
                        "type": "Ready",
                        "status": "True",
                        "reason": "KubeletReady",
                        "message": "kubelet is posting ready status",
                        "lastTransitionTime": now(),
                    }
                ],
            },
        }


def gpu_nodes(count: int = 1, product: str = "nvidia-h100-80gb", gpus: int = 8) -> list[Node]:
    """Return nodes with GPUs, as GKE labels and taints them."""
    labels = {"cloud.google.com/gke-accelerator": product, "cloud.google.com/gke-nodepool": "gpu"}
    return [
        Node(f"gpu-{i}", {"nvidia.com/gpu": str(gpus)}, labels, ("nvidia.com/gpu=present",))
        for i in range(count)
    ]


def tpu_slice(
    pool: str, hosts: int, *, accelerator: str, topology: str, chips: int = 4, spot: bool = False
) -> list[Node]:
    """Return the nodes of one slice of a TPU, which GKE keeps in a pool of its own."""
    labels = {
        "cloud.google.com/gke-tpu-accelerator": accelerator,
        "cloud.google.com/gke-tpu-topology": topology,
        "cloud.google.com/gke-nodepool": pool,
        **({"cloud.google.com/gke-spot": "true"} if spot else {}),
    }
    taints = ["google.com/tpu=present", *(["cloud.google.com/gke-spot=true"] if spot else [])]
    devices = {"google.com/tpu": str(chips)}
    return [Node(f"{pool}-{i}", devices, labels, taints) for i in range(hosts)]


def amount(quantity: object) -> float:
    """Return the number that a quantity stands for.

    Raises:
        ValueError: it is none.

    """
    found = _QUANTITY.fullmatch(str(quantity))
    if found is None:
        raise ValueError(quantity)
    number, unit = float(found[1]), found[2]
    if unit == "m":
        return number / 1000
    if not unit:
        return number
    power = _POWERS.lower().index(unit[0].lower()) + 1
    return number * float((1024 if unit.endswith("i") else 1000) ** power)


def requests_of(pod: Object) -> dict[str, float]:
    """Return what a pod takes of a node: requests, or limits where there are none."""
    total: dict[str, float] = {"pods": 1}
    for container in pod["spec"]["containers"]:
        resources = container.get("resources") or {}
        wanted = {**(resources.get("limits") or {}), **(resources.get("requests") or {})}
        for name, quantity in wanted.items():
            total[name] = total.get(name, 0) + amount(quantity)
    return total


def schedule(store: Store) -> None:
    """Give each pod that has no node the first that fits."""
    nodes, pods = store.list("nodes"), store.list("pods")
    for pod in pods:
        gated = pod["spec"].get("schedulingGates")
        if pod["spec"].get("nodeName") or "deletionTimestamp" in pod["metadata"] or gated:
            continue
        places = _places(pod, nodes, pods)
        problems = {node["metadata"]["name"]: _problem(pod, node, pods, places) for node in nodes}
        fitting = [name for name, problem in problems.items() if problem is None]
        if fitting:
            store.change("pods", pod, partial(_bind, node=fitting[0]))
            meta = pod["metadata"]
            said = f"Successfully assigned {meta['namespace']}/{meta['name']} to {fitting[0]}"
            record(store, pod, "Scheduled", said, "default-scheduler")
            pods = store.list("pods")
        else:
            said = _unschedulable([problem for problem in problems.values() if problem])
            if (condition_of(pod, "PodScheduled") or {}).get("message") != said:
                store.change("pods", pod, partial(_leave, message=said))
                record(store, pod, "FailedScheduling", said, "default-scheduler")


def _bind(pod: Object, node: str) -> None:
    pod["spec"]["nodeName"] = node
    set_condition(pod, "PodScheduled")


def _leave(pod: Object, message: str) -> None:
    set_condition(pod, "PodScheduled", "False", "Unschedulable", message)


def _unschedulable(problems: list[str]) -> str:
    reasons = ", ".join(f"{count} {text}" for text, count in sorted(Counter(problems).items()))
    count = len(problems)
    if not count:
        return "no nodes available to schedule pods"
    return (
        f"0/{count} nodes are available: {reasons}. preemption: 0/{count} nodes are available: "
        f"{count} Preemption is not helpful for scheduling."
    )


def _problem(
    pod: Object, node: Object, pods: list[Object], places: Mapping[str, bool]
) -> str | None:
    """Return why a pod does not fit a node."""
    labels = node["metadata"].get("labels") or {}
    selector = pod["spec"].get("nodeSelector") or {}
    if any(labels.get(key) != value for key, value in selector.items()):
        return "node(s) didn't match Pod's node affinity/selector"
    if not _is_near(pod, labels):
        return "node(s) didn't match Pod's node affinity/selector"
    for taint in node["spec"].get("taints") or ():
        if not any(_tolerates(each, taint) for each in pod["spec"].get("tolerations") or ()):
            return f"node(s) had untolerated taint {{{taint['key']}: {taint.get('value', '')}}}"
    if node["spec"].get("unschedulable"):
        return "node(s) were unschedulable"
    if not places.get(node["metadata"]["name"], True):
        return "node(s) didn't match pod affinity rules"
    free = {name: amount(quantity) for name, quantity in node["status"]["allocatable"].items()}
    for other in pods:
        on_node = other["spec"].get("nodeName") == node["metadata"]["name"]
        if on_node and other.get("status", {}).get("phase") not in _TERMINAL:
            for name, taken in requests_of(other).items():
                free[name] = free.get(name, 0) - taken
    for name, wanted in requests_of(pod).items():
        if wanted > free.get(name, 0):
            return "Too many pods" if name == "pods" else f"Insufficient {name}"
    return None


def _is_near(pod: Object, labels: Mapping[str, str]) -> bool:
    affinity = (pod["spec"].get("affinity") or {}).get("nodeAffinity") or {}
    required = affinity.get("requiredDuringSchedulingIgnoredDuringExecution")
    if not required:
        return True
    return any(
        all(_matches(rule, labels) for rule in term.get("matchExpressions") or ())
        for term in required["nodeSelectorTerms"]
    )


def _matches(rule: Object, labels: Mapping[str, str]) -> bool:
    found, values = labels.get(rule["key"]), rule.get("values") or ()
    match rule["operator"]:
        case "In":
            return found in values
        case "NotIn":
            return found not in values
        case "Exists":
            return found is not None
        case "DoesNotExist":
            return found is None
        case operator:
            raise NotImplementedError(operator)


def _tolerates(toleration: Object, taint: Object) -> bool:
    if toleration.get("effect") not in (None, "", taint["effect"]):
        return False
    if toleration.get("operator", "Equal") == "Exists":
        return toleration.get("key") in (None, "", taint["key"])
    said = toleration.get("key"), toleration.get("value", "")
    return said == (taint["key"], taint.get("value", ""))


def _places(pod: Object, nodes: list[Object], pods: list[Object]) -> dict[str, bool]:
    """Return which nodes are in the place of a pod's child Job, which it shares with no other."""
    topology = (pod["metadata"].get("annotations") or {}).get(EXCLUSIVE)
    if topology is None:
        return {}
    domain = {
        node["metadata"]["name"]: (node["metadata"].get("labels") or {}).get(topology)
        for node in nodes
    }
    own: set[str] = set()
    taken: set[str] = set()
    for other in pods:
        place = domain.get(other["spec"].get("nodeName", ""))
        is_over = other.get("status", {}).get("phase") in _TERMINAL
        if place is None or is_over or _job_key(other) is None:
            continue
        (own if _job_key(other) == _job_key(pod) else taken).add(place)
    return {
        name: place is not None and place not in taken and (not own or place in own)
        for name, place in domain.items()
    }


def _job_key(pod: Object) -> str | None:
    labels: dict[str, str] = pod["metadata"].get("labels") or {}
    return labels.get("jobset.sigs.k8s.io/job-key")
