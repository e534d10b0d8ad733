"""The jobs that a run follows, and what the store and their queue say of them until they end."""

from __future__ import annotations

import re
import time
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from marin_build.apply.events import JobMoved
from marin_build.apply.job_listener import one_target
from marin_build.apply.job_outcomes import outcome_in_store, outcome_of_queue, with_output
from marin_build.engines.jobs import JobState, Phase, QueueAwayError
from marin_build.errors import StoreAwayError
from marin_build.pipeline.retries import Tries
from marin_build.plan.outcomes import Failed, Interrupted, Succeeded
from marin_build.protocol import layout
from marin_build.protocol.newest_attempt import newest_attempt

if TYPE_CHECKING:
    from collections.abc import Collection, Container, Mapping

    from marin_build.apply.job_listener import Listener
    from marin_build.engines.jobs import JobQueue
    from marin_build.plan.outcomes import Outcome
    from marin_build.protocol.lease import Lease
    from marin_build.run_step.session import Session
    from marin_build.run_step.workers import Start

_JOB_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,252}")
_LOST_AFTER = 60.0
"""Seconds a queue may know nothing of a job before it counts as lost."""
_QUEUED = JobState(Phase.QUEUED)


@dataclass(frozen=True, slots=True)
class Before:
    """What the store said of a target before its job could say anything.

    Args:
        attempt: the number of the last attempt that had ended.
        status: the version of the status; empty if there was none.

    """

    attempt: int
    status: str


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
        to_end: the targets that the run ends; they may change.
        listener: hears what becomes of them.

    """

    def __init__(
        self,
        session: Session,
        engine: str,
        queue: JobQueue,
        to_end: Container[int],
        listener: Listener,
    ) -> None:
        self._session, self._engine, self._queue = session, engine, queue
        self._to_end, self._listener = to_end, listener
        self._followed: dict[int, _Followed] = {}
        self._reported: dict[int, int] = {}  # index -> the last failed attempt that was reported
        self._tries: dict[int, Tries] = {}

    def __len__(self) -> int:
        return len(self._followed)

    def __contains__(self, index: int) -> bool:
        return index in self._followed

    @property
    def indices(self) -> list[int]:
        """The targets whose jobs are followed."""
        return list(self._followed)

    def jobs(self, indices: Collection[int]) -> dict[str, str]:
        """Return the jobs of some of these targets: id -> name."""
        followed = [self._followed[index] for index in indices]
        return {each.id: each.name for each in followed}

    def take(self, start: Start, name: str, job: str, before: Before, *, is_adopted: bool) -> None:
        """Follow a job from now on.

        Args:
            start: what asked for it.
            name, job: as the queue knows it.
            before: what the store said before the job could say anything.
            is_adopted: whether it was found rather than submitted.

        """
        self._followed[start.index] = _Followed(
            start, name, job, before.attempt, is_adopted, before.status
        )
        self._say_where(start.index, JobState(Phase.QUEUED, "adopted" if is_adopted else ""))

    def before(self, index: int) -> Before:
        """Return what the store says of a target now, to know later what is new.

        Raises:
            StoreError: the store cannot be read.

        """
        store, output = self._session.store, self._session.targets.all[index].output_path
        if (reported := self._reported.get(index)) is not None:
            return Before(reported, "")
        last = newest_attempt(store, output)
        said = store.get(f"{output}/{layout.STATUS}")
        return Before(last, said.version if said is not None else "")

    def let_go(self, index: int, outcome: Outcome, name: str) -> None:
        """Follow the job of a target no more, and free what its engine keeps of it.

        If it gives no answer, `find` meets what is left, should the target be built again.

        Args:
            index: which target.
            outcome: how it ended.
            name: of its job.

        """
        if isinstance(outcome, Failed) and outcome.attempt:
            self._reported[index] = outcome.attempt
        followed = self._followed.pop(index, None)
        with suppress(QueueAwayError):
            if self._gives_up(index, outcome):
                live = self._queue.find({name})
                self._queue.cancel({id_: own for own, id_ in live.items()}, kill=False)
            if followed is not None:
                self._queue.forget(followed.id)

    def _gives_up(self, index: int, outcome: Outcome) -> bool:
        """Take note of a failure; return whether the run tries no more, though its job may.

        An engine that counts no failures of the infrastructure tries again for days after them.
        """
        if not isinstance(outcome, Failed) or outcome.cause != "infra":
            return False
        step = self._session.targets.all[index].step
        return self._tries.setdefault(index, Tries(step.retries)).failed("infra").wait is None

    def unreported(self, request: Start) -> Outcome | None:
        """Return how a target ended since its last failure in this run, which its job repeated."""
        reported, session = self._reported.get(request.index), self._session
        if reported is None:
            return None
        target = session.targets.all[request.index]
        outcome = outcome_in_store(session.store, target, reported, force=request.force)
        return None if isinstance(outcome, Interrupted) else outcome

    def job_holding(self, lease: Lease | None) -> str:
        """Return the id of the job of this queue that holds a lease; empty if none does."""
        if lease is None or lease.is_sealed or not lease.nonce:
            return ""
        engine, _, job = lease.job.partition(":")
        is_id = _JOB_ID.fullmatch(job) is not None  # else another program could give us an option
        return job if engine == self._engine and is_id else ""

    def look_at_statuses(self) -> None:
        """Report the targets whose status says that an attempt ended since."""
        asked = list(self._followed)
        targets = self._session.targets.all
        paths = [f"{targets[i].output_path}/{layout.STATUS}" for i in asked]
        for index, said in zip(asked, self._session.store.get_many(paths), strict=True):
            followed = self._followed[index]
            if said is None or said.version == followed.status:
                continue
            with one_target(self._listener, index):
                if said.data.strip() != b"RUNNING":
                    self._end(index, self._in_store(index))
                followed.status = said.version

    def _in_store(self, index: int) -> Succeeded | Failed | Interrupted | None:
        followed, session = self._followed[index], self._session
        target, force = session.targets.all[index], followed.request.force
        return outcome_in_store(session.store, target, followed.after, force=force)

    def _end(self, index: int, outcome: Outcome | None) -> bool:
        """Report an end, and return True, unless there is none, or the queue has more to say.

        It may start an interrupted attempt again, and else it says why the attempt was.
        """
        if outcome is None or (isinstance(outcome, Interrupted) and index not in self._to_end):
            return False
        job = self._followed[index].id
        self._listener.ended(index, with_output(outcome, lambda: self._queue.output_of(job)))
        return True

    def poll(self) -> None:
        """Ask the queue about all jobs together."""
        asked = {followed.id: followed.name for followed in self._followed.values()}
        states = self._queue.poll(asked)
        missing: dict[int, JobState] = {}
        for index, followed in list(self._followed.items()):
            state = states[followed.id]
            if state.phase is Phase.UNKNOWN:
                missing[index] = state
                continue
            followed.unknown_since = None
            if state.phase is Phase.ENDED:
                with one_target(self._listener, index):
                    self._ended_in_queue(index, state)
            elif state != followed.state:
                followed.state = state
                self._say_where(index, state)
        if missing:
            self._look_for(missing)

    def _ended_in_queue(self, index: int, state: JobState) -> None:
        followed = self._followed[index]
        outcome: Outcome | None
        try:
            outcome = self._in_store(index)
        except StoreAwayError:
            if index not in self._to_end:
                raise
            outcome = None  # the next run finds out
        if index in self._to_end and not isinstance(outcome, Succeeded):
            outcome = Interrupted(
                outcome.attempt if isinstance(outcome, Failed | Interrupted) else 0
            )
        if self._end(index, outcome):
            return
        if followed.is_adopted and outcome is None:
            # It ended as it was found, perhaps with an attempt that is known already.
            del self._followed[index]
            self._listener.ask_again(replace(followed.request, seen=None))
            return
        if isinstance(outcome, Interrupted) and state.cause is None:
            state = replace(state, cause="infra")  # not its program ended it, and not this run
        job = f"{self._engine}:{followed.id}"
        output = self._queue.output_of(followed.id)
        self._listener.ended(index, outcome_of_queue(state, job, output, self._queue.says_why))

    def _look_for(self, missing: Mapping[int, JobState]) -> None:
        """Look for jobs that the queue does not know; they may have other ids by now."""
        names = {self._followed[index].name for index in missing}
        again = self._queue.find(names)
        for index, state in missing.items():
            followed, now = self._followed[index], time.monotonic()
            if followed.unknown_since is None:
                followed.unknown_since = now
            with one_target(self._listener, index):
                if self._end(index, self._in_store(index)):
                    continue
                if followed.name in again:
                    followed.id, followed.unknown_since = again[followed.name], None
                # Nobody can end what the queue does not know: an interrupt does not wait for it.
                elif index in self._to_end or now - followed.unknown_since >= _LOST_AFTER:
                    self._ended_in_queue(index, JobState(Phase.ENDED, state.words, "infra"))

    def _say_where(self, index: int, state: JobState) -> None:
        target, followed = self._session.targets.all[index], self._followed[index]
        job = f"{self._engine}:{followed.id}"
        said = (state.phase.value, state.words, state.place)
        self._listener.moved(JobMoved(target.name, target.id, job, *said))
