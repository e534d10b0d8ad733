"""The pods of Jobs in the tests' Kubernetes: their names, labels, and which completion they are."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING

from .kubernetes_events import record
from .kubernetes_job_rules import INDEX
from .kubernetes_resources import owned_by
from .kubernetes_store import random_suffix

if TYPE_CHECKING:
    from .kubernetes_resources import Object
    from .kubernetes_store import Store

TRACKING = "batch.kubernetes.io/job-tracking"


def make_pod(store: Store, job: Object, index: int | None) -> None:
    """Make a pod of a Job; of an Indexed one, that of a completion."""
    template = copy.deepcopy(job["spec"]["template"])
    name = job["metadata"]["name"]
    meta = template.setdefault("metadata", {})
    meta["namespace"] = job["metadata"]["namespace"]
    meta["ownerReferences"] = [owned_by(job)]
    meta["finalizers"] = [TRACKING]
    prefix = name if index is None else f"{name}-{index}"
    meta["generateName"] = f"{prefix}-"
    meta["name"] = f"{prefix[:57]}-{random_suffix()}"
    if index is not None:
        _set_index(template, name, index)
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        **template,
        "status": {"phase": "Pending", "qosClass": "Burstable"},
    }
    made = store.add("pods", pod)
    said = f"Created pod: {made['metadata']['name']}"
    record(store, job, "SuccessfulCreate", said, "job-controller")


def _set_index(template: Object, name: str, index: int) -> None:
    """Say which completion of an Indexed Job a pod is."""
    for field in ("annotations", "labels"):
        template["metadata"].setdefault(field, {})[INDEX] = str(index)
    spec = template["spec"]
    spec.setdefault("hostname", f"{name}-{index}")
    source = {"fieldRef": {"fieldPath": f"metadata.labels['{INDEX}']"}}
    for container in (*spec.get("initContainers", ()), *spec["containers"]):
        variables = container.setdefault("env", [])
        if all(each["name"] != "JOB_COMPLETION_INDEX" for each in variables):
            variables.append({"name": "JOB_COMPLETION_INDEX", "valueFrom": source})
