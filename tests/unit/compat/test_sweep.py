"""A sweep that many workers share runs every target once, and tells how each ended."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import pytest

from marin_build.compat.artifact_record import read_record
from marin_build.compat.sweep import SweepTarget, claim_and_run
from marin_build.compat.sweep_coordination import (
    GangRole,
    Round,
    SoloLeader,
    SweepLeaderActor,
    gang_coordinator,
)
from marin_build.errors import SpecificationError
from marin_build.protocol.status import STATUS_FAILED, STATUS_SUCCESS
from marin_build.run_step.launch import RANK, RANKS
from marin_build.runtime.status_file import StatusFile

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

TARGETS = [SweepTarget(f"t{number}", {"lr": number}) for number in range(4)]


def _status(root: Path, target_id: str) -> str | None:
    return StatusFile(str(root / target_id), "a test").status


def _together(*work: Callable[[], None]) -> None:
    threads = [threading.Thread(target=one) for one in work]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


class Leader(SoloLeader):
    """A leader whose followers ask the same actor."""

    def __init__(self, actor: SweepLeaderActor, followers: int = 0) -> None:
        self.actor, self.followers = actor, followers

    def publish(self, seq: int, target_id: str | None) -> None:
        self.actor.publish(seq, target_id)

    def wait_for_followers(self, seq: int) -> None:
        self.actor.wait_for_followers(seq, self.followers)


class Follower(SoloLeader):
    def __init__(self, actor: SweepLeaderActor) -> None:
        self.actor = actor

    @property
    def role(self) -> GangRole:
        return GangRole.FOLLOWER

    def receive(self, seq: int) -> str | None:
        return self.actor.next_round(seq).target_id


def test_workers_run_every_target_once(tmp_path: Path) -> None:
    """Else two jobs of a sweep train the same model."""
    ran: list[str] = []

    def work() -> None:
        claim_and_run(str(tmp_path), TARGETS, lambda target: ran.append(target.target_id))

    _together(work, work, work)
    assert sorted(ran) == [target.target_id for target in TARGETS]
    assert {_status(tmp_path, one.target_id) for one in TARGETS} == {STATUS_SUCCESS}
    record = read_record(str(tmp_path / "t2"))
    assert record is not None
    assert (record.name, record.config) == ("t2", {"lr": 2})


def test_what_fails_ends_its_worker_and_is_tried_by_the_next(tmp_path: Path) -> None:
    """Else one bad target hides, or ends the sweep for good."""
    ran: list[str] = []

    def fails(target: SweepTarget) -> None:
        ran.append(target.target_id)
        if target.target_id == "t1":
            raise RuntimeError("no room")

    with pytest.raises(RuntimeError, match="no room"):
        claim_and_run(str(tmp_path), TARGETS, fails)
    assert ran == ["t0", "t1"]
    assert (_status(tmp_path, "t1"), _status(tmp_path, "t2")) == (STATUS_FAILED, None)
    claim_and_run(str(tmp_path), TARGETS, lambda target: ran.append(target.target_id))
    assert ran == ["t0", "t1", "t1", "t2", "t3"]
    assert _status(tmp_path, "t1") == STATUS_SUCCESS


def test_a_gang_runs_what_its_leader_gets(tmp_path: Path) -> None:
    """Else the hosts of one slice wait for each other in different targets."""
    StatusFile(str(tmp_path / "t1"), "before").write_status(STATUS_SUCCESS)
    actor, ran = SweepLeaderActor(), {"leader": [""], "follower": [""]}

    def work(who: str, gang: SoloLeader) -> Callable[[], None]:
        return lambda: claim_and_run(
            str(tmp_path), TARGETS, lambda target: ran[who].append(target.target_id),
            coordinator=gang,
        )  # fmt: skip

    _together(work("leader", Leader(actor, 1)), work("follower", Follower(actor)))
    assert ran["leader"] == ran["follower"] == ["", "t0", "t2", "t3"]
    assert actor.next_round(3) == Round(None)


def test_hosts_that_work_together_need_a_coordinator(monkeypatch: pytest.MonkeyPatch) -> None:
    """Else one host takes a target, and the others wait for its lock while it waits for them."""
    assert gang_coordinator().role is GangRole.LEADER
    with pytest.raises(SpecificationError, match="a leader was asked"):
        SoloLeader().receive(0)
    monkeypatch.setenv(RANK, "1")
    monkeypatch.setenv(RANKS, "4")
    with pytest.raises(SpecificationError, match="cannot run on 4 hosts"):
        claim_and_run("/nowhere", TARGETS, print)
