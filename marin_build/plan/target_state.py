"""The states of targets: built, running, failed ... from one reading of the store. Pure."""

from __future__ import annotations

import enum
from dataclasses import replace
from typing import TYPE_CHECKING

from marin_build.protocol.status import (
    STATUS_DEP_FAILED,
    STATUS_FAILED,
    STATUS_LET_GO,
    STATUS_RUNNING,
)
from marin_build.quick_dataclass import dataclass

if TYPE_CHECKING:
    from collections.abc import Mapping

    from marin_build.plan.block_reasons import Unreadable
    from marin_build.plan.snapshot import LastAttempt, Observed
    from marin_build.protocol.lease import Lease
    from marin_build.protocol.living_work import Process
    from marin_build.protocol.taints import Taint
    from marin_build.protocol.tombstone import Tombstone


class State(enum.Enum):
    """What a target is, in one word; in the order in which people want to see it."""

    RUNNING = "running"
    """A run holds it; the run may still be alive."""
    GONE = "gone"
    """Its holder was a process of this machine and has ended."""
    FAILED = "failed"
    UNREADABLE = "unreadable"
    """A file beside its output is damaged, so its state is unknown."""
    INTERRUPTED = "interrupted"
    """An attempt began, has neither succeeded nor failed, and no run holds it."""
    QUEUED = "queued"
    """No run holds it, and a queue has a job that will look at it."""
    SEALED = "sealed"
    """Committed; the next run publishes it."""
    DOUBTFUL = "doubtful"
    """Built, but the machine went down before it was surely on disk."""
    TAINTED = "tainted"
    """Built, and marked as bad: the next run that needs it builds it again."""
    LET_GO = "let go"
    """Built, and its output was deleted once what needs it was built."""
    NOT_BUILT = "not built"
    BUILT = "built"


MAY_WAIT = frozenset(
    {
        State.GONE,
        State.FAILED,
        State.INTERRUPTED,
        State.DOUBTFUL,
        State.TAINTED,
        State.LET_GO,
        State.NOT_BUILT,
    }
)
"""States of targets that a run would build, and that no run which may live holds."""


@dataclass(frozen=True, slots=True)
class WaitingJob:
    """A job of a queue, for a target that no run holds.

    Args:
        job: engine and id, `slurm:123`.
        words: what the queue says of it, for people; may be empty.
        place: the machines that it has begun on, for people; empty if it waits.
        hint: what a person must do before it begins; empty: nothing.

    """

    job: str
    words: str
    place: str = ""
    hint: str = ""

    def describe(self) -> str:
        """Return `slurm:123, PENDING (Dependency)`, and what a person must do, if anything."""
        job = f"{self.job}, {self.said}" if self.said else self.job
        return f"{job}; {self.hint}" if self.hint else job

    @property
    def said(self) -> str:
        """What the queue says of it, and where it is."""
        return f"{self.words} on {self.place}" if self.place else self.words


@dataclass(frozen=True, slots=True)
class TargetState:
    """The state of one target.

    Args:
        state: its state.
        lease: that of the run that holds it, held it or sealed it; None if there is no lease.
        last: its newest attempt, if that failed and could be read.
        work: the processes that its holder, which is gone, has left working on it.
        damage: the file that cannot be read; None if there is none.
        taint: why it is marked as bad; None if it is not, or not built.
        job: the job that a queue has for it; None if no queue was asked, or none has one.
        tombstone: by which `gc` it is to be deleted; None if it is not, or not built.

    """

    state: State
    lease: Lease | None = None
    last: LastAttempt | None = None
    work: tuple[Process, ...] = ()
    damage: Unreadable | None = None
    taint: Taint | None = None
    job: WaitingJob | None = None
    tombstone: Tombstone | None = None

    def with_job(self, job: WaitingJob) -> TargetState:
        """Return the state of the target now that a queue has a job for it."""
        return replace(self, state=State.QUEUED, job=job)


def target_state(seen: Observed, *, taint: Taint | None = None) -> TargetState:
    """Return the state of a target.

    A holder on another machine always counts as alive: one reading cannot show that it died.

    Args:
        seen: what was read of it.
        taint: the mark that condemns its build, if there is one.

    """
    lease = seen.lease
    if seen.damage is not None:
        return TargetState(State.UNREADABLE, damage=seen.damage)
    if seen.doubtful:
        return TargetState(State.DOUBTFUL)
    if lease is not None and lease.is_sealed:
        return TargetState(State.SEALED, lease)
    if seen.is_built:
        state = State.BUILT if taint is None else State.TAINTED
        return TargetState(state, taint=taint, tombstone=seen.tombstone)
    if lease is not None:
        if not seen.gone:
            return TargetState(State.RUNNING, lease)
        if seen.work:
            return TargetState(State.RUNNING, lease, work=seen.work)
        return TargetState(State.GONE, lease)
    if seen.status in (STATUS_FAILED, STATUS_DEP_FAILED):
        return TargetState(State.FAILED, last=seen.last)
    if seen.status == STATUS_LET_GO:
        return TargetState(State.LET_GO)
    return TargetState(State.INTERRUPTED if seen.status == STATUS_RUNNING else State.NOT_BUILT)


def counts(states: Mapping[int, TargetState]) -> dict[State, int]:
    """Return how many targets are in each state, in the order of the states."""
    found = dict.fromkeys(State, 0)
    for each in states.values():
        found[each.state] += 1
    return found
