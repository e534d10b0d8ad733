"""Slurm's states: each is an outcome of ours, and none that we do not know is a failure."""

from __future__ import annotations

import pytest

from marin_build.engines.jobs import Phase
from marin_build.engines.slurm.job_states import is_held, job_state

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


@pytest.mark.parametrize("why", ["launch failed requeued held", "launch_failed_requeued_held"])
def test_a_job_that_slurm_failed_to_start_and_holds_is_lost(why: str) -> None:
    """Else a run waits for ever for a job that only a person can release."""
    held = job_state("PENDING", why)
    assert (held.phase, held.cause) == (Phase.ENDED, "infra")
    assert is_held(held)
    assert not is_held(job_state("PENDING", "JobHeldUser"))


@pytest.mark.parametrize("state", ["", "BORED", "?"])
def test_a_state_that_we_do_not_know_is_no_failure(state: str) -> None:
    """Else a newer Slurm makes every job fail."""
    assert job_state(state).phase is Phase.UNKNOWN


def test_the_reason_is_told() -> None:
    """Else a job that waits for a quota looks like one that waits its turn."""
    assert job_state("PENDING", "QOSMaxJobsPerUserLimit").words == (
        "PENDING (QOSMaxJobsPerUserLimit)"
    )
