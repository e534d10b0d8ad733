"""What the Cloud TPU API's words for queued resources and their nodes mean. Pure.

Source: `QueuedResourceState` and `Node` of the Cloud TPU API v2. A queued resource is the request
for machines, a node is one slice of them: one that is ACTIVE has machines, whether or not they
work. A queued resource that was preempted does not start again, and counts against the quota until
it is deleted.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from marin_build.engines.jobs import JobState, Phase
from marin_build.text.readable import printable

if TYPE_CHECKING:
    from collections.abc import Mapping

_WAITS = {"CREATING", "ACCEPTED", "WAITING_FOR_RESOURCES", "PROVISIONING"}
_TAKEN = {"SUSPENDING", "SUSPENDED"}
_LOST_NODE = {"PREEMPTED", "TERMINATED", "STOPPING", "STOPPED", "HIDING", "HIDDEN"}
_LOST_HEALTH = {"UNHEALTHY_MAINTENANCE"}
_LONGEST = 300
"""Characters of the API's words that are shown."""


def state_of(row: Mapping[str, Any]) -> str:
    """Return the word for the state of a queued resource; empty if it says none."""
    return str(_within(row, "state", "state") or "")


def resource_state(row: Mapping[str, Any]) -> JobState:
    """Return what the state of a queued resource means."""
    word = state_of(row)
    if word in _WAITS:
        return JobState(Phase.QUEUED, word)
    if word == "ACTIVE":
        return JobState(Phase.RUNNING)
    if word in _TAKEN:
        if _within(row, "state", "stateInitiator") == "USER":
            return JobState(Phase.ENDED, f"CANCELLED in Google Cloud ({word})", "infra")
        return JobState(Phase.ENDED, f"its machines were taken away ({word})", "infra")
    if word == "FAILED":
        said = _within(row, "state", "failedData", "error", "message")
        words = f"FAILED: {printable(str(said))}" if said else "FAILED"
        return JobState(Phase.ENDED, words[:_LONGEST], "infra")
    if word == "DELETING":
        return JobState(Phase.ENDED, "CANCELLED: it is being deleted (DELETING)", "infra")
    return JobState(Phase.UNKNOWN, printable(word)[:_LONGEST])


def node_state(node: Mapping[str, Any]) -> JobState:
    """Return what the state of a node means."""
    word, health = str(node.get("state") or ""), node.get("health")
    if word in _LOST_NODE:
        return JobState(Phase.ENDED, f"a machine is {word}", "infra")
    if health in _LOST_HEALTH:
        return JobState(Phase.ENDED, f"a machine is {health}", "infra")
    if word == "READY":
        return JobState(Phase.RUNNING)
    waits = {"CREATING", "STARTING", "RESTARTING", "REIMAGING", "REPAIRING"}
    return JobState(Phase.QUEUED if word in waits else Phase.UNKNOWN, printable(word)[:_LONGEST])


def _within(value: Any, *keys: str) -> Any:
    """Return what lies in objects within objects; None if there is no such thing."""
    for key in keys:
        if not isinstance(value, dict):
            return None
        value = value.get(key)
    return value
