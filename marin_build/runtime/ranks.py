"""What the program of a step on several hosts knows of the others."""

from __future__ import annotations

import os
from dataclasses import dataclass

from marin_build.run_step.launch import LEADER, RANK, RANKS


@dataclass(frozen=True, slots=True)
class Rank:
    """One of the processes that run a step together, each on a host of its own.

    Args:
        number: which one this is, from 0. What rank 0, the leader, returns is what the step
            returns.
        count: how many there are; 1 for a step on one host.
        leader: the name of the leader's host, as the other hosts can reach it.

    """

    number: int
    count: int
    leader: str


def current_rank() -> Rank:
    """Return which rank of its step this process is; 0 of 1 for a step on one host.

    Commands read the same from MARIN_BUILD_RANK, MARIN_BUILD_RANKS and MARIN_BUILD_LEADER.
    """
    number, count = os.environ.get(RANK, ""), os.environ.get(RANKS, "")
    leader = os.environ.get(LEADER) or os.uname().nodename
    if not (number.isdecimal() and count.isdecimal()):
        return Rank(0, 1, leader)
    return Rank(int(number), int(count), leader)
