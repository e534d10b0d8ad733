"""Ray's states: each is an outcome of ours, and none that we do not know is a failure."""

from __future__ import annotations

from typing import Any

import pytest

from marin_build.engines.jobs import Phase
from marin_build.engines.ray.job_states import is_live, job_state, waited_too_long

# The error types of Ray 2.60. Those of the supervisor are Ray's own, not the step's.
OF_RAY = [
    "RUNTIME_ENV_SETUP_FAILURE",
    "JOB_SUPERVISOR_ACTOR_START_TIMEOUT",
    "JOB_SUPERVISOR_ACTOR_START_FAILURE",
    "JOB_SUPERVISOR_ACTOR_UNSCHEDULABLE",
    "JOB_SUPERVISOR_ACTOR_UNKNOWN_FAILURE",
    "JOB_SUPERVISOR_ACTOR_DIED",
    "JOB_ENTRYPOINT_COMMAND_START_ERROR",
]


def _row(status: str, **more: Any) -> dict[str, Any]:
    keys = ("message", "error_type", "driver_exit_code", "driver_agent_http_address")
    return {"status": status, **dict.fromkeys(keys), **more}


@pytest.mark.parametrize(
    ("row", "phase", "cause"),
    [
        (_row("PENDING"), Phase.QUEUED, None),
        (_row("RUNNING"), Phase.RUNNING, None),
        (_row("SUCCEEDED"), Phase.ENDED, None),
        (_row("STOPPED"), Phase.ENDED, "infra"),
        (_row("FAILED", driver_exit_code=3), Phase.ENDED, None),
        (_row("FAILED", driver_exit_code=-9), Phase.ENDED, "infra"),
        (_row("FAILED", message="Job ... failed with exit code 3, last"), Phase.ENDED, None),
        (_row("FAILED"), Phase.ENDED, "infra"),
        *[(_row("FAILED", error_type=each), Phase.ENDED, "infra") for each in OF_RAY],
        (_row("BORED"), Phase.UNKNOWN, None),
        ({}, Phase.UNKNOWN, None),
    ],
)
def test_what_ray_says_is_an_outcome_of_ours(
    row: dict[str, Any], phase: Phase, cause: str | None
) -> None:
    """Else a lost node uses up a step's own retries, or a newer Ray makes every job fail."""
    found = job_state(row)
    assert (found.phase, found.cause) == (phase, cause)
    assert is_live(row) == (phase in {Phase.QUEUED, Phase.RUNNING})


def test_people_are_told_where_a_job_runs_and_why_it_waits_or_ended() -> None:
    """Else a job that can never start looks like one that waits its turn."""
    runs = _row("RUNNING", driver_agent_http_address="http://10.0.0.7:52365")
    assert job_state(runs).place == "10.0.0.7"
    assert job_state(_row("PENDING"), "no node has 8 GPU").words == "PENDING: no node has 8 GPU"
    assert job_state(_row("FAILED", driver_exit_code=-9)).words.endswith("killed by signal 9")
    failed = _row("FAILED", error_type="RUNTIME_ENV_SETUP_FAILURE", message="\n no \x1b[1mpip\nx")
    assert job_state(failed).words == "FAILED: RUNTIME_ENV_SETUP_FAILURE: no \\x1b[1mpip"
    assert job_state(_row("STOPPED")).words.startswith("CANCELLED")  # a person's wish, no failure


def test_a_job_that_only_waited_is_told_from_one_that_failed() -> None:
    """Else a step fails because a cluster is busy for longer than 15 minutes."""
    assert waited_too_long(_row("FAILED", error_type="JOB_SUPERVISOR_ACTOR_START_TIMEOUT"))
    older = "Job supervisor actor failed to start within 900.0 seconds. This timeout can be"
    assert waited_too_long(_row("FAILED", message=older))
    assert not waited_too_long(_row("FAILED", driver_exit_code=1, message="no"))
    assert not waited_too_long(_row("PENDING", message=older))
