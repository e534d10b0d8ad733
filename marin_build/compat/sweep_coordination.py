"""Which process of a gang chooses the targets of a sweep, and how the others learn of them."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from marin_build.errors import SpecificationError
from marin_build.runtime.ranks import current_rank


class GangRole(StrEnum):
    """The part of a process in its gang."""

    LEADER = "leader"
    FOLLOWER = "follower"


@dataclass(frozen=True)
class Round:
    """One target that the gang runs; None: there are no more."""

    target_id: str | None


class SweepLeaderActor:
    """Keeps the rounds that a leader announces, and hands them to followers in their order."""

    def __init__(self) -> None:
        self._rounds: dict[int, Round] = {}
        self._fetched: dict[int, int] = {}
        self._changed = threading.Condition()

    def publish(self, seq: int, target_id: str | None) -> None:
        """Announce a round."""
        with self._changed:
            self._rounds[seq] = Round(target_id)
            self._changed.notify_all()

    def next_round(self, seq: int) -> Round:
        """Wait for a round, and return it."""
        with self._changed:
            self._changed.wait_for(lambda: seq in self._rounds)
            self._fetched[seq] = self._fetched.get(seq, 0) + 1
            self._changed.notify_all()
            return self._rounds[seq]

    def wait_for_followers(self, seq: int, count: int) -> None:
        """Wait until so many followers have the round."""
        with self._changed:
            self._changed.wait_for(lambda: self._fetched.get(seq, 0) >= count)


class SweepCoordinator(Protocol):
    """How one process of a gang talks to the others."""

    @property
    def role(self) -> GangRole:
        """The part of this process."""

    def publish(self, seq: int, target_id: str | None) -> None:
        """Announce a round: what a leader does."""

    def receive(self, seq: int) -> str | None:
        """Wait for a round, and return its target: what a follower does."""

    def wait_for_followers(self, seq: int) -> None:
        """Wait until every follower has the round."""

    def close(self) -> None:
        """Let go of what it holds, also after an error."""


class SoloLeader:
    """The leader of a gang without followers."""

    @property
    def role(self) -> GangRole:
        """Always the leader."""
        return GangRole.LEADER

    def publish(self, seq: int, target_id: str | None) -> None:
        """Do nothing: there is no follower."""

    def receive(self, seq: int) -> str | None:
        """Raise SpecificationError: only followers wait for rounds."""
        raise SpecificationError(f"a leader was asked to wait for round {seq} of its sweep")

    def wait_for_followers(self, seq: int) -> None:
        """Return at once: there is no follower."""

    def close(self) -> None:
        """Do nothing."""


def gang_coordinator() -> SweepCoordinator:
    """Return how this process talks to its gang.

    Raises:
        SpecificationError: its step runs on several hosts: nothing carries rounds between them.

    """
    ranks = current_rank().count
    if ranks > 1:
        raise SpecificationError(
            f"a sweep cannot run on {ranks} hosts that work on one target together",
            consequence="no target was run",
            hint="make each target a step, or give `claim_and_run` a coordinator of your own",
        )
    return SoloLeader()
