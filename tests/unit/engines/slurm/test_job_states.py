"""Slurm's states: each is an outcome of ours, and none that we do not know is a failure."""

from __future__ import annotations

import pytest

from marin_build.engines.jobs import Phase
from marin_build.engines.slurm.job_states import is_held, job_state, with_hint

QUEUED = ["PENDING", "CONFIGURING", "REQUEUED", "REQUEUE_HOLD", "REQUEUE_FED", "SPECIAL_EXIT"]
QUEUED += ["RESV_DEL_HOLD"]
RUNNING = ["RUNNING", "COMPLETING", "SUSPENDED", "STOPPED", "SIGNALING", "STAGE_OUT", "RESIZING"]
ENDED = {
    "COMPLETED": None,
    "FAILED": None,
    "OUT_OF_MEMORY": "oom",
    "TIMEOUT": "timeout",
    "DEADLINE": "timeout",
    "NODE_FAIL": "infra",
    "BOOT_FAIL": "infra",
    "LAUNCH_FAILED": "infra",
    "PREEMPTED": "infra",
    "REVOKED": "infra",
    "CANCELLED": "infra",
    "CANCELLED by 1000": "infra",
    "CANCELLED+": "infra",
}


@pytest.mark.parametrize("state", QUEUED)
def test_a_job_that_waits_is_queued(state: str) -> None:
    """Else a job that Slurm starts again counts as failed, and a second one is submitted."""
    assert job_state(state, "Priority").phase is Phase.QUEUED


@pytest.mark.parametrize("state", RUNNING)
def test_a_job_that_may_still_write_runs(state: str) -> None:
    """Else another job is started beside it."""
    found = job_state(state, "None", "n1")
    assert (found.phase, found.place) == (Phase.RUNNING, "n1")


@pytest.mark.parametrize(("state", "cause"), ENDED.items())
def test_a_job_that_ended_says_why(state: str, cause: str | None) -> None:
    """Else a lost node uses up the retries that a step has for its own failures."""
    found = job_state(state)
    assert (found.phase, found.cause) == (Phase.ENDED, cause)


NOT_STARTED = [
    "launch failed requeued held",
    "launch_failed_requeued_held",
    "user env retrieval failed requeued held",
    "user_env_retrieval_failed_requeued_held",
    "JobHoldMaxRequeue",
]


@pytest.mark.parametrize("state", ["PENDING", "REQUEUE_HOLD"])
@pytest.mark.parametrize("why", NOT_STARTED)
def test_a_job_that_slurm_failed_to_start_and_holds_is_lost(state: str, why: str) -> None:
    """Else a run waits for ever for a job that only a person can release."""
    held = job_state(state, why)
    assert (held.phase, held.cause) == (Phase.ENDED, "infra")
    assert is_held(held)


@pytest.mark.parametrize("why", ["JobHeldUser", "JobHeldAdmin", "job requeued in held state"])
def test_a_job_that_somebody_holds_is_not_lost(why: str) -> None:
    """Else a run submits again what a person has stopped."""
    held = job_state("PENDING", why)
    assert held.phase is Phase.QUEUED
    assert not is_held(held)


@pytest.mark.parametrize(
    ("why", "hint"),
    [
        (
            "launch failed requeued held",
            "Slurm could not start it, and holds it: `scontrol release 7_1` lets it start",
        ),
        ("JobHeldUser", "it is held: `scontrol release 7_1` lets it start"),
        ("JobHeldAdmin", ""),  # only an administrator may release it
        ("Dependency", ""),
    ],
)
def test_people_are_told_how_a_held_job_starts(why: str, hint: str) -> None:
    """Else a job that waits for a person looks like one that waits for its turn."""
    shown = with_hint(job_state("PENDING", why), "7_1")
    assert (shown.phase, shown.words, shown.hint) == (Phase.QUEUED, f"PENDING ({why})", hint)


def test_a_job_that_has_ended_can_be_released_no_more() -> None:
    ended = job_state("CANCELLED", "launch failed requeued held")
    assert with_hint(ended, "7") == ended


@pytest.mark.parametrize("state", ["", "BORED", "?"])
def test_a_state_that_we_do_not_know_is_no_failure(state: str) -> None:
    """Else a newer Slurm makes every job fail."""
    assert job_state(state).phase is Phase.UNKNOWN


def test_the_reason_is_told() -> None:
    """Else a job that waits for a quota looks like one that waits its turn."""
    assert job_state("PENDING", "QOSMaxJobsPerUserLimit").words == (
        "PENDING (QOSMaxJobsPerUserLimit)"
    )
