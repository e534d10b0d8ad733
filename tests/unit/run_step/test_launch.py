"""Which rank of which gang a process is, as the engine's template says it."""

from __future__ import annotations

import pytest

from marin_build import Rank, current_rank
from marin_build.errors import UsageError
from marin_build.run_step.launch import LAUNCH, LEADER, RANK, RANKS, Launch, take_launch


@pytest.mark.parametrize(
    ("rank", "ranks", "launch"),
    [("0", "3", Launch("l", 0, 3)), ("2", "3", Launch("l", 2, 3)), ("0", "1", None)],
)
def test_a_process_of_a_gang_knows_its_rank(rank: str, ranks: str, launch: Launch | None) -> None:
    """Else each of three hosts believes that it leads, and two wait for its lease for ever."""
    environ = {LAUNCH: "l", RANK: rank, RANKS: ranks, "OTHER": "x"}
    assert take_launch(environ) == launch
    assert environ == {RANK: rank, RANKS: ranks, "OTHER": "x"}


def test_a_program_that_a_rank_starts_is_no_rank() -> None:
    """Else a `run-step` inside a step takes the lease of the gang that it is a part of."""
    environ = {RANK: "1", RANKS: "3", LEADER: "n1", "OTHER": "x"}
    assert take_launch(environ) is None
    assert environ == {"OTHER": "x"}


@pytest.mark.parametrize(
    ("rank", "ranks"),
    [("3", "3"), ("-1", "3"), ("", "3"), ("1", ""), ("one", "3"), ("0", "0"), ("1.0", "3")],
)
def test_a_rank_that_cannot_be_told_is_refused(rank: str, ranks: str) -> None:
    """Else two hosts lead, or none does."""
    with pytest.raises(UsageError, match="cannot tell which rank"):
        take_launch({LAUNCH: "l", RANK: rank, RANKS: ranks})


@pytest.mark.parametrize("name", ["a b", "a\n"])
def test_a_launch_that_a_lease_cannot_name_is_refused(name: str) -> None:
    """Else the ranks wait for a lease whose name they never read."""
    with pytest.raises(UsageError):
        take_launch({LAUNCH: name, RANK: "0", RANKS: "3"})


def test_the_program_of_a_step_can_ask(monkeypatch: pytest.MonkeyPatch) -> None:
    """Else the author of a step reads Slurm's variables, and the step runs nowhere else."""
    for name in (RANK, RANKS, LEADER):
        monkeypatch.delenv(name, raising=False)
    alone = current_rank()
    assert (alone.number, alone.count) == (0, 1)
    assert alone.leader
    for name, value in ((RANK, "1"), (RANKS, "3"), (LEADER, "n1")):
        monkeypatch.setenv(name, value)
    assert current_rank() == Rank(1, 3, "n1")
