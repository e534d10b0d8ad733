"""What the end of a job means that left nothing in the store."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from marin_build.apply.job_outcomes import outcome_of_queue
from marin_build.engines.jobs import JobState, Phase
from marin_build.engines.slurm.command_line import SlurmQueue
from marin_build.errors import StoreAwayError
from marin_build.pipeline.retries import SAID_OF_INFRASTRUCTURE
from marin_build.plan.outcomes import Failed, Stopped

if TYPE_CHECKING:
    from pathlib import Path

FAILED = JobState(Phase.ENDED, "FAILED (NonZeroExitCode)")


def _failure(state: JobState, output: str) -> Failed:
    found = outcome_of_queue(state, "slurm:7", output)
    assert isinstance(found, Failed)
    return found


def test_a_job_that_printed_is_the_programs_own_failure(tmp_path: Path) -> None:
    """Else a program that is not found on the nodes is tried again and again."""
    log = tmp_path / "7.log"
    log.write_text("slurmstepd: note\nmarin-build: error: not found\nbye\n")
    found = _failure(FAILED, str(log))
    assert (found.cause, found.log) == ("app", str(log))
    assert found.message.endswith(": marin-build: error: not found")


def test_a_job_that_could_not_reach_the_store_is_the_infrastructures_failure(
    tmp_path: Path,
) -> None:
    """Else an outage on a node uses up the tries of a step, and nothing says what gave no answer.

    Slurm tells that a job failed, and not its exit code: only what it printed says why.
    """
    log = tmp_path / "7.log"
    error = StoreAwayError("cannot read `gs://b/x`", facts=[("reason", "it is away")], hint="wait")
    log.write_text(f"{error.render()}\n{SAID_OF_INFRASTRUCTURE}\n")
    found = _failure(FAILED, str(log))
    assert (found.cause, found.exit_code) == ("infra", 75)
    assert found.message.endswith("error: cannot read `gs://b/x`: it is away")


def test_the_rank_that_died_first_is_named(tmp_path: Path) -> None:
    """Else a person looks at a host whose rank was only ended because of another one."""
    log = tmp_path / "7.log"
    first = "srun: error: n2: task 1: Killed"
    log.write_text(f"0: error: noise\n{first}\nsrun: error: n1: task 0: Killed\n")
    says_why = SlurmQueue("/", "/", 1.0).says_why
    found = outcome_of_queue(FAILED, "slurm:7", str(log), says_why)
    assert isinstance(found, Failed)
    assert found.message == f"job slurm:7 ended: {FAILED.words}: {first}"


def test_a_job_that_never_started_is_lost_and_no_failure_of_its_step() -> None:
    """Else a node that refuses a job uses up the retries of a step that never ran."""
    assert _failure(FAILED, "").cause == "infra"


@pytest.mark.parametrize("cause", ["oom", "timeout", "infra"])
def test_what_the_queue_knows_better_counts(cause: str, tmp_path: Path) -> None:
    """Else `apply` says of a step that ran out of memory only that it failed."""
    log = tmp_path / "7.log"
    log.write_text("error: all is lost\n")
    found = _failure(JobState(Phase.ENDED, "X", cause), str(log))  # type: ignore[arg-type]
    assert (found.cause, found.message) == (cause, "job slurm:7 ended: X")


def test_a_job_that_a_person_cancelled_is_not_started_again() -> None:
    """Else `scancel` only starts the next try."""
    found = outcome_of_queue(JobState(Phase.ENDED, "CANCELLED by 0"), "slurm:7", "")
    assert isinstance(found, Stopped)
    assert "slurm:7" in found.message
