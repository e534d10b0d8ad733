"""The rules of a Job in the tests' Kubernetes: which pods have failed, and what that means for it.

Source: the page on pod failure policies: the first rule that fits decides, exit codes of 0 are
passed over, and a pod that no rule fits is counted.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from .kubernetes_resources import Object

INDEX = "batch.kubernetes.io/job-completion-index"


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the failure of a pod means: whether it counts; why the Job has failed with it."""

    is_counted: bool = True
    message: str = ""


def is_failed(job: Object, pod: Object) -> bool:
    """Return whether a pod counts as failed; one that is going does, unless the Job waits."""
    phase = pod.get("status", {}).get("phase")
    if phase == "Failed":
        return True
    if job["spec"]["podReplacementPolicy"] == "Failed":
        return False
    return "deletionTimestamp" in pod["metadata"] and phase != "Succeeded"


def judge(job: Object, pod: Object) -> Verdict:
    """Return what the failure of a pod means for its Job."""
    rules = (job["spec"].get("podFailurePolicy") or {}).get("rules") or ()
    for number, rule in enumerate(rules):
        because = _fits(rule, pod)
        if not because:
            continue
        match rule["action"]:
            case "Ignore":
                return Verdict(is_counted=False)
            case "FailJob":
                return Verdict(message=f"{because} matching FailJob rule at index {number}")
            case _:
                return Verdict()
    return Verdict()


def _fits(rule: Object, pod: Object) -> str:
    meta, status = pod["metadata"], pod.get("status", {})
    whole = f"{meta['namespace']}/{meta['name']}"
    if codes := rule.get("onExitCodes"):
        for container in _ended(status):
            code = container["state"]["terminated"]["exitCode"]
            is_named = codes.get("containerName") in (None, container["name"])
            is_listed = code in codes["values"]
            if is_named and code != 0 and is_listed == (codes["operator"] == "In"):
                return f"Container {container['name']} for pod {whole} failed with exit code {code}"
        return ""
    for pattern in rule.get("onPodConditions") or ():
        for condition in status.get("conditions", ()):
            wanted = pattern["type"], pattern.get("status", "True")
            if (condition["type"], condition["status"]) == wanted:
                return f"Pod {whole} has condition {condition['type']}"
    return ""


def _ended(status: Object) -> Iterable[Object]:
    for field in ("containerStatuses", "initContainerStatuses"):
        for container in status.get(field, ()):
            if "terminated" in container["state"]:
                yield container


def index_of(pod: Object) -> int:
    """Return which completion of an Indexed Job a pod is; -1 if of none."""
    return int((pod["metadata"].get("annotations") or {}).get(INDEX, -1))


def parse_indexes(text: str) -> set[int]:
    """Return the numbers of `1,3-5,7`."""
    found: set[int] = set()
    for part in filter(None, text.split(",")):
        first, _, last = part.partition("-")
        found.update(range(int(first), int(last or first) + 1))
    return found


def write_indexes(numbers: Iterable[int]) -> str:
    """Return numbers as `1,3-5,7`."""
    runs: list[list[int]] = []
    for number in sorted(numbers):
        if runs and number == runs[-1][-1] + 1:
            runs[-1].append(number)
        else:
            runs.append([number])
    return ",".join(
        str(run[0]) if len(run) == 1 else f"{run[0]}{'-' if len(run) > 2 else ','}{run[-1]}"
        for run in runs
    )
