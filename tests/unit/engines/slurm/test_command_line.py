"""Slurm's programs: the environment they get, and what is made of their answers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from marin_build.engines.jobs import Phase, QueueAwayError
from marin_build.engines.slurm.command_line import SlurmQueue, clean_environment

if TYPE_CHECKING:
    from collections.abc import Sequence


def test_what_a_terminal_inside_a_job_set_does_not_reach_the_next_job() -> None:
    """Else SBATCH_ACCOUNT or the outer job's SLURM_MEM silently override the script."""
    environ = {
        "PATH": "/bin",
        "SLURM_CONF": "/etc/slurm.conf",
        "SBATCH_ACCOUNT": "other",
        "SLURM_JOB_ID": "7",
        "SLURM_MEM_PER_NODE": "1",
        "SQUEUE_FORMAT": "%i",
    }
    assert clean_environment(environ) == {
        "PATH": "/bin",
        "SLURM_CONF": "/etc/slurm.conf",
        "LC_ALL": "C",
    }


SAID = """\
7|mb-a|NODE_FAIL|n1
7|mb-a|COMPLETED|n2
8|another|COMPLETED|n1
9|mb-c|RUNNING|n1
10_1|mb-array-x|TIMEOUT|n1
11|mb-e|CANCELLED by 1000|n1
"""


def test_what_the_controller_has_forgotten_is_asked_of_the_accounting(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Else a job that ended while nobody looked counts as lost, and runs again after a minute."""
    asked: list[Sequence[str]] = []

    def call(_queue: SlurmQueue, words: Sequence[str], **_more: object) -> str:
        asked.append(words)
        if words[0] == "scontrol":
            raise QueueAwayError("Slurm gives no answer: Invalid job id specified")
        return SAID if words[0] == "sacct" else ""

    monkeypatch.setattr(SlurmQueue, "_call", call)
    names = {"7": "mb-a", "8": "mb-b", "9": "mb-c", "10_1": "mb-d", "11": "mb-e", "12": "mb-f"}
    found = SlurmQueue("/p", "/logs", 1.0).poll(names)
    assert {id_: (state.phase, state.cause) for id_, state in found.items()} == {
        "7": (Phase.ENDED, None),  # of a job that was requeued the last line counts
        "8": (Phase.UNKNOWN, None),  # the id means another job
        "9": (Phase.UNKNOWN, None),  # accounting that lost an end says for ever that a job runs
        "10_1": (Phase.UNKNOWN, None),  # nobody knows any more which step the task was
        "11": (Phase.ENDED, "infra"),
        "12": (Phase.UNKNOWN, None),
    }
    assert [words[0] for words in asked] == ["squeue", "sacct", "scontrol"]


QUEUED = """\
7|mb-a|PENDING||launch failed requeued held
8|mb-b|PENDING||Dependency
9_1|mb-c|PENDING||user_env_retrieval_failed_requeued_held
10|mb-d|PENDING||launch failed requeued held
11|mb-e|COMPLETING|n1|None
"""
WANTED = ("mb-a", "mb-b", "mb-c", "mb-e", "mb-z")


@pytest.fixture
def called(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, ...]]:
    """The calls of Slurm's programs, where the queue has held jobs of ours and of another plan."""
    calls: list[tuple[str, ...]] = []

    def call(_queue: SlurmQueue, words: Sequence[str], **_more: object) -> str:
        calls.append(tuple(words))
        return QUEUED if words[0] == "squeue" else ""

    monkeypatch.setattr(SlurmQueue, "_call", call)
    return calls


def test_held_jobs_of_a_run_that_follows_them_are_replaced(called: list[tuple[str, ...]]) -> None:
    """Else a run waits two minutes more, for a node that may refuse the job again."""
    assert SlurmQueue("/p", "/logs", 1.0).find(WANTED) == {"mb-b": "8", "mb-e": "11"}
    assert called[1:] == [("scancel", "--quiet", "7", "9_1")]


def test_held_jobs_that_others_wait_for_are_released(called: list[tuple[str, ...]]) -> None:
    """Else the jobs behind a held one start, find nothing built, and end."""
    found = SlurmQueue("/p", "/logs", 1.0).find_released(WANTED)
    assert found == {"mb-a": "7", "mb-b": "8", "mb-c": "9_1", "mb-e": "11"}
    assert called[1:] == [("scontrol", "release", "7,9_1")]


def test_a_look_at_held_jobs_changes_nothing(called: list[tuple[str, ...]]) -> None:
    """Else `status` cancels jobs, or shows nothing where a plan stands still."""
    seen = SlurmQueue("/p", "/logs", 1.0).look(WANTED)
    assert {name: (id_, state.phase) for name, (id_, state) in seen.items()} == {
        "mb-a": ("7", Phase.QUEUED),
        "mb-b": ("8", Phase.QUEUED),
        "mb-c": ("9_1", Phase.QUEUED),
        "mb-e": ("11", Phase.RUNNING),
    }
    assert "`scontrol release 7`" in seen["mb-a"][1].hint
    assert len(called) == 1
