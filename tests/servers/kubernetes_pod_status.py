"""What the kubelet of the tests' Kubernetes says of pods and of their containers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .kubernetes_resources import now, set_condition

if TYPE_CHECKING:
    from .kubernetes_resources import Object


def is_over(pod: Object) -> bool:
    """Return whether all of a pod has ended."""
    return pod.get("status", {}).get("phase") in ("Succeeded", "Failed")


def admit(pod: Object, address: str) -> None:
    """Say that a node has taken a pod: its containers are being made."""
    status = pod.setdefault("status", {})
    status["startTime"] = now()
    status["hostIP"] = "127.0.0.1"
    status["podIP"] = address
    status["podIPs"] = [{"ip": address}]
    for field, source in (
        ("initContainerStatuses", "initContainers"),
        ("containerStatuses", "containers"),
    ):
        if containers := pod["spec"].get(source):
            reason = "PodInitializing" if pod["spec"].get("initContainers") else ""
            waiting = {"waiting": {"reason": reason or "ContainerCreating"}}
            status[field] = [
                {
                    "name": each["name"],
                    "image": each["image"],
                    "imageID": "",
                    "ready": False,
                    "started": False,
                    "restartCount": 0,
                    "state": waiting,
                    "lastState": {},
                }
                for each in containers
            ]
    set_condition(pod, "Ready", "False", "ContainersNotReady")


def finish(pod: Object, phase: str) -> None:
    """Say that a pod has ended; one that is to be deleted may go now."""
    status = pod["status"]
    status["phase"] = phase
    reason = "PodCompleted" if phase == "Succeeded" else "PodFailed"
    for kind in ("Ready", "ContainersReady"):
        set_condition(pod, kind, "False", reason)
    if "deletionTimestamp" in pod["metadata"]:
        pod["metadata"]["deletionGracePeriodSeconds"] = 0


def fail_by_shutdown(pod: Object) -> None:
    """Say that a pod was ended because its node was shut down."""
    finish(pod, "Failed")
    why = "Pod was terminated in response to imminent node shutdown."
    pod["status"] |= {"reason": "Terminated", "message": why}
    set_condition(pod, "DisruptionTarget", "True", "TerminationByKubelet", why)


def refuse(pod: Object) -> None:
    """Say that a node does not run a pod: its devices are not known yet, after a restart, say."""
    why = "Pod was rejected: Allocate failed due to no healthy devices present, which is unexpected"
    pod["status"] |= {"phase": "Failed", "reason": "UnexpectedAdmissionError", "message": why}


def set_running(pod: Object, field: str, name: str, started: str) -> None:
    """Say that a container runs."""
    set_state(pod, field, name, {"running": {"startedAt": started}})
    if field == "containerStatuses":
        pod["status"]["phase"] = "Running"
        if all(each["ready"] for each in pod["status"][field]):
            for kind in ("Ready", "ContainersReady"):
                set_condition(pod, kind)


def set_state(pod: Object, field: str, name: str, state: Object) -> None:
    """Say how a container is."""
    found = next(each for each in pod["status"][field] if each["name"] == name)
    if "terminated" in found["state"] and "terminated" not in state:
        found["lastState"] = found["state"]
        if "running" in state:
            found["restartCount"] += 1
    elif "terminated" in found["lastState"] and "running" in state:
        found["restartCount"] += 1
    found["state"] = state
    found["ready"] = found["started"] = "running" in state
    if "running" in state:
        found["imageID"] = found["image"]
