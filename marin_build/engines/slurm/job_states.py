"""What Slurm's words for the state of a job mean. Pure.

Source: SchedMD's `job_state_codes` and `squeue(1)`; the long form of the states.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from marin_build.engines.jobs import JobState, Phase

if TYPE_CHECKING:
    from marin_build.pipeline.retries import Cause

_WAITS = {"PENDING", "CONFIGURING", "REQUEUED", "REQUEUE_FED", "REQUEUE_HOLD", "SPECIAL_EXIT"}
_WAITS |= {"RESV_DEL_HOLD", "POWER_UP_NODE", "EXPEDITING"}
_RUNS = {"RUNNING", "COMPLETING", "SUSPENDED", "STOPPED", "SIGNALING", "STAGE_OUT", "RESIZING"}
_ENDS: dict[str, Cause | None] = {
    "COMPLETED": None,
    "FAILED": None,  # the program's own exit code says why
    "OUT_OF_MEMORY": "oom",
    "TIMEOUT": "timeout",
    "DEADLINE": "timeout",
    "NODE_FAIL": "infra",
    "BOOT_FAIL": "infra",
    "LAUNCH_FAILED": "infra",
    "RECONFIG_FAIL": "infra",
    "PREEMPTED": "infra",
    "REVOKED": "infra",
    "CANCELLED": "infra",
}

_NOT_STARTED = {
    "launch failed requeued held",
    "user env retrieval failed requeued held",
    "JobHoldMaxRequeue",
}
"""Reasons of a job that a node could not start: Slurm holds it until a person releases it."""
_HELD_BY_SOMEBODY = {
    "JobHeldUser",
    "job requeued in held state",
    "job requeued in special exit state",
}
"""Reasons of a job that its owner, or a rule for its exit code, holds."""


def is_held(state: JobState) -> bool:
    """Return whether a job waits without an end, because Slurm failed to start it."""
    return _reason(state.words) in _NOT_STARTED


def with_hint(state: JobState, job_id: str) -> JobState:
    """Return a state for people: a held job waits, and can be released."""
    if is_held(state):
        what = "Slurm could not start it, and holds it"
    elif _reason(state.words) in _HELD_BY_SOMEBODY:
        what = "it is held"
    else:
        return state
    hint = f"{what}: `scontrol release {job_id}` lets it start"
    return JobState(Phase.QUEUED, state.words, hint=hint)


def _reason(words: str) -> str:
    """Return why a job waits, with spaces; empty if it does not wait, or for no reason."""
    state, _, reason = words.partition(" (")
    return reason.removesuffix(")").replace("_", " ") if state in _WAITS else ""


def job_state(state: str, reason: str = "", nodes: str = "") -> JobState:
    """Return what a state means.

    Args:
        state: the long form, perhaps with text behind it: `CANCELLED by 1000`.
        reason: why a job waits or ended, in one word; `None` where there is none.
        nodes: where it runs.

    """
    word = state.partition(" ")[0].rstrip("+")
    said = state if reason in {"", "None"} else f"{state} ({reason})"
    if word in _WAITS:
        waits = JobState(Phase.QUEUED, said)
        return JobState(Phase.ENDED, said, "infra") if is_held(waits) else waits
    if word in _RUNS:
        return JobState(Phase.RUNNING, said, place=nodes)
    if word in _ENDS:
        return JobState(Phase.ENDED, said, _ENDS[word])
    return JobState(Phase.UNKNOWN, said)
