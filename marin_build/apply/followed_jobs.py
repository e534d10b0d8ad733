"""The jobs that a run follows, and what the store and their queue say of them until they end."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Protocol

from marin_build.apply.events import JobMoved
from marin_build.apply.job_outcomes import outcome_in_store, outcome_of_queue, with_output
from marin_build.engines.jobs import JobState, Phase
from marin_build.plan.outcomes import Failed, Interrupted
from marin_build.protocol import layout
from marin_build.protocol.held_target import newest_attempt
from marin_build.run_step.workers import INTERRUPTED

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from marin_build.apply.events import Event
    from marin_build.engines.jobs import JobQueue
    from marin_build.plan.outcomes import Outcome
    from marin_build.run_step.session import Session
    from marin_build.run_step.workers import Start

_LOST_AFTER = 60.0
"""Seconds a queue may know nothing of a job before it counts as lost."""
_QUEUED = JobState(Phase.QUEUED)


class Listener(Protocol):
    """Who hears of followed jobs."""

    def ended(self, index: int, outcome: Outcome) -> None:
        """Take note of how a target ended."""

    def moved(self, event: Event) -> None:
        """Take note of what a queue says of a job."""

    def ask_again(self, request: Start) -> None:
        """Take back a request whose job had ended when it was found."""


@dataclass(slots=True)
class _Followed:
    """A job, and what is known of it.

    Args:
        request: what asked for it.
        name, id: as the queue knows it.
        after: the number of the last attempt at its target before it.
        is_adopted: whether it was found rather than submitted.
        status: version of the status as it was last seen.

    """

    request: Start
    name: str
    id: str
    after: int
    is_adopted: bool
    status: str
    state: JobState = _QUEUED
    unknown_since: float | None = None


class FollowedJobs:
    """The jobs of one queue that a run follows. Belongs to one thread.

    Args:
        session: the run.
        engine: the name of the engine.
        queue: asked about the jobs.
        to_end: by index, why the run ends a target, and whether by force; it may change.
        listener: hears what becomes of them.

    """

    def __init__(
        self,
        session: Session,
        engine: str,
        queue: JobQueue,
        to_end: Mapping[int, tuple[str, bool]],
        listener: Listener,
    ) -> None:
        self._session, self._engine, self._queue = session, engine, queue
        self._to_end, self._listener = to_end, listener
        self._followed: dict[int, _Followed] = {}

    def __bool__(self) -> bool:
        return bool(self._followed)

    def __contains__(self, index: int) -> bool:
        return index in self._followed

    @property
    def indices(self) -> list[int]:
        """The targets whose jobs are followed."""
        return list(self._followed)

    def ids(self, indices: Collection[int]) -> list[str]:
        """Return the ids of the jobs of some of these targets."""
        return [self._followed[index].id for index in indices]

    def take(
        self, start: Start, name: str, job: str, *, is_adopted: bool, after: int | None = None
    ) -> None:
        """Follow a job from now on.

        Args:
            start: what asked for it.
            name, job: as the queue knows it.
            is_adopted: whether it was found rather than submitted.
            after: the number of the last attempt before it; None: the newest that there is.

        """
        store, output = self._session.store, self._session.targets.all[start.index].output_path
        last = newest_attempt(store, output) if after is None else after
        said = store.get(f"{output}/{layout.STATUS}")
        status = said.version if said is not None else ""
        self._followed[start.index] = _Followed(start, name, job, last, is_adopted, status)
        self._say_where(start.index, JobState(Phase.QUEUED, "adopted" if is_adopted else ""))

    def forget(self, index: int) -> None:
        """Follow the job of a target no more."""
        if (followed := self._followed.pop(index, None)) is not None:
            self._queue.forget(followed.id)

    def look_at_statuses(self) -> None:
        """Report the targets whose status says that an attempt ended since."""
        asked = list(self._followed)
        targets = self._session.targets.all
        paths = [f"{targets[i].output_path}/{layout.STATUS}" for i in asked]
        for index, said in zip(asked, self._session.store.get_many(paths), strict=True):
            followed = self._followed[index]
            if said is None or said.version == followed.status:
                continue
            followed.status = said.version
            if said.data.strip() != b"RUNNING" and (outcome := self._in_store(index)) is not None:
                self._end(index, outcome)

    def _in_store(self, index: int) -> Outcome | None:
        followed, session = self._followed[index], self._session
        target, force = session.targets.all[index], followed.request.force
        return outcome_in_store(session.store, target, followed.after, force=force)

    def _end(self, index: int, outcome: Outcome) -> None:
        """Report an end, unless the queue may start an interrupted attempt again."""
        job = self._followed[index].id
        if isinstance(outcome, Interrupted) and index not in self._to_end:
            return  # the queue will say why
        self._listener.ended(index, with_output(outcome, lambda: self._queue.output_of(job)))

    def poll(self) -> None:
        """Ask the queue about all jobs together."""
        asked = {followed.id: followed.name for followed in self._followed.values()}
        states = self._queue.poll(asked)
        for index, followed in list(self._followed.items()):
            state = states[followed.id]
            if state.phase is Phase.UNKNOWN:
                self._miss(index, state)
                continue
            followed.unknown_since = None
            if state.phase is Phase.ENDED:
                self._ended_in_queue(index, state)
            elif state != followed.state:
                followed.state = state
                self._say_where(index, state)

    def _ended_in_queue(self, index: int, state: JobState) -> None:
        followed = self._followed[index]
        outcome = self._in_store(index)
        if index in self._to_end:
            attempt = outcome.attempt if isinstance(outcome, Failed | Interrupted) else 0
            why = self._to_end[index][0]
            outcome = Interrupted(attempt) if why == INTERRUPTED else outcome
        if outcome is None or (isinstance(outcome, Interrupted) and index not in self._to_end):
            if followed.is_adopted and outcome is None:
                # It ended as it was found, perhaps with an attempt that is known already.
                del self._followed[index]
                self._listener.ask_again(replace(followed.request, seen=None))
                return
            job = f"{self._engine}:{followed.id}"
            outcome = outcome_of_queue(state, job, self._queue.output_of(followed.id))
        self._listener.ended(
            index, with_output(outcome, lambda: self._queue.output_of(followed.id))
        )

    def _miss(self, index: int, state: JobState) -> None:
        """Look for a job that the queue does not know; it may have another id by now."""
        followed, now = self._followed[index], time.monotonic()
        followed.unknown_since = followed.unknown_since or now
        if (outcome := self._in_store(index)) is not None:
            self._listener.ended(index, outcome)
        elif followed.name in (again := self._queue.find([followed.name])):
            followed.id, followed.unknown_since = again[followed.name], None
        elif now - followed.unknown_since >= _LOST_AFTER:
            lost = JobState(Phase.ENDED, state.words, "infra")
            job = f"{self._engine}:{followed.id}"
            self._listener.ended(index, outcome_of_queue(lost, job, ""))

    def _say_where(self, index: int, state: JobState) -> None:
        target, followed = self._session.targets.all[index], self._followed[index]
        job = f"{self._engine}:{followed.id}"
        said = (state.phase.value, state.words, state.place)
        self._listener.moved(JobMoved(target.name, target.id, job, *said))
