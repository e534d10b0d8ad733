"""What really happened to a target on a simulated machine, as its judge keeps it."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.sim.machine import Process


@dataclass(eq=False, slots=True)
class Execution:
    """One run of a step's body.

    Args:
        output: of which target.
        nonce: whose.
        way: "kernel", "documents", "older": see `local_appliers.Way`.
        forced: whether it may build what is built.
        claimed: when its applier began to take the target.
        keepers: who must announce it, or stop it.
        processes: those that may write; what it started too.

    """

    output: str
    nonce: str
    way: str
    forced: bool
    claimed: float
    keepers: list[Process] = field(default_factory=list)
    processes: list[Process] = field(default_factory=list)
    has_lock: Callable[[], bool] = lambda: True
    """Whether its kernel lock is locked, if it needs one."""
    checked_at: float = 0.0
    """When its applier last made sure that it may begin."""
    files: int = 0
    has_ended_well: bool = False

    @property
    def is_alive(self) -> bool:
        """Whether anything of it may still write."""
        return any(process.alive for process in self.processes)

    def is_excused(self) -> bool:
        """Return whether who should have announced or stopped it stood still, or died."""
        return any(not it.alive or it.is_excused() for it in self.keepers)

    def slept_before_it_began(self) -> bool:
        """Return whether who started it stood still since that was checked."""
        actors = [actor for it in self.keepers for actor in it.threads]
        return any(actor.stalled_until > self.checked_at for actor in actors)


@dataclass(slots=True)
class Truth:
    """What really happened to one target."""

    executions: dict[str, Execution] = field(default_factory=dict)
    built_by: str = ""
    """The nonce of what is committed; empty: nothing is."""
    commits: int = 0
    is_mixed: bool = False
    """Whether one that sees no kernel locks wrote beside another, within the first second."""
    is_collected: bool = False
    is_blocked: bool = False
    """Whether a run refuses to build it, and may."""
    was_cut: bool = False
    """Whether the power was cut when it was sealed."""
    older_at: float = -math.inf
    """When an older version wrote beside the output last."""


class Said(NamedTuple):
    """What a record says: the nonce of whose it is, and when that ended."""

    payload: str
    end: float
