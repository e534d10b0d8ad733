"""The targets that need a job: their jobs are found in the queue, or submitted."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import TYPE_CHECKING

from marin_build.apply.events import Warned
from marin_build.apply.job_listener import one_target
from marin_build.engines.jobs import JobNotYetError, JobRefusedError, Phase, QueueAwayError
from marin_build.plan.outcomes import Held, Interrupted
from marin_build.protocol.claim_outcomes import Finished
from marin_build.protocol.look import look
from marin_build.run_step.supervisor import finished_elsewhere

if TYPE_CHECKING:
    from collections.abc import Container, Mapping, Sequence

    from marin_build.apply.followed_jobs import Before, FollowedJobs
    from marin_build.apply.job_listener import Listener
    from marin_build.engines.jobs import JobQueue, JobRequest, JobState
    from marin_build.protocol.look import Seen
    from marin_build.run_step.session import Session
    from marin_build.run_step.workers import Start

_PAUSE_IF_NOT_YET = 2.0
"""Seconds until a job is submitted again that the queue could not take."""


class WantedJobs:
    """The targets of a run that wait for a job of one queue. Belongs to one thread, but for `add`.

    Args:
        session: the run.
        queue: takes the jobs.
        specs: by index, what is submitted for a target.
        followed: gets the jobs.
        to_end: the targets that the run ends; they may change.
        listener: hears what becomes of them.

    """

    def __init__(
        self,
        session: Session,
        queue: JobQueue,
        specs: Mapping[int, JobRequest],
        followed: FollowedJobs,
        to_end: Container[int],
        listener: Listener,
    ) -> None:
        self._session, self._queue, self._specs = session, queue, specs
        self._followed, self._to_end, self._listener = followed, to_end, listener
        self._asked: dict[int, Start] = {}
        self._perhaps: set[int] = set()  # a submit of theirs got no answer
        self._not_yet: set[int] = set()  # the queue cannot take their jobs now
        self._looked: dict[int, str] = {}  # version of the status by which a target needs a job
        self._submit_at = 0.0
        self._is_closed = False

    @property
    def indices(self) -> list[int]:
        """The targets that have no job yet."""
        return list(self._asked)

    @property
    def due(self) -> float | None:
        """When to begin again what the queue could not take; None: there is nothing."""
        return self._submit_at if self._not_yet else None

    def add(self, request: Start) -> None:
        """Have a job for a target; safe in any thread."""
        self._asked[request.index] = request

    def drop(self, index: int) -> None:
        """Forget a target: it has a job, or needs none any more."""
        self._asked.pop(index, None)
        self._perhaps.discard(index)
        self._not_yet.discard(index)

    def close(self) -> None:
        """Submit no more; safe in any thread."""
        self._is_closed = True

    def begin(self) -> None:
        """Find or submit the jobs of what was asked for.

        Raises:
            QueueAwayError, StoreAwayError: no answer; what is left is begun the next time.

        """
        asked = list(self._asked.values())
        for start in asked:
            if start.index in self._to_end and start.index not in self._perhaps:
                self._listener.ended(start.index, Interrupted())
        if time.monotonic() < self._submit_at:
            return
        ready = self._unsettled(list(self._asked.values()))
        if not ready:
            return
        known = self._queue.find({self._specs[start.index].name for start in ready})
        new: list[Start] = []
        for start in ready:
            with one_target(self._listener, start.index):
                job = known.get(self._specs[start.index].name)
                # A submit without an answer may have been carried out: that job is ended, too.
                if start.index in self._to_end and not (job and start.index in self._perhaps):
                    self._listener.ended(start.index, Interrupted())
                elif job is not None:
                    self._take(start, job, self._followed.before(start.index), is_adopted=True)
                else:
                    new.append(start)
        by_name = {self._specs[start.index].name: start for start in new}
        for batch in self._queue.batches([self._specs[start.index] for start in new]):
            if self._is_closed:
                return
            self._submit([(job, by_name[job.name]) for job in batch])

    def _submit(self, batch: Sequence[tuple[JobRequest, Start]]) -> None:
        """Submit jobs by one request; if it is refused, one by one, to hear which of them why."""
        befores: dict[int, Before] = {}  # read first: a job may end very soon
        for _, start in batch:
            with one_target(self._listener, start.index):
                before = self._followed.before(start.index)
                if before.status and before.status != self._looked[start.index]:
                    self._listener.ask_again(replace(start, seen=None))  # its job ended meanwhile
                else:
                    befores[start.index] = before
        left = [(job, start) for job, start in batch if start.index in befores]
        if not left:
            return
        try:
            ids = self._queue.submit_batch([job for job, _ in left])
        except JobNotYetError as error:
            self._wait(error, {start.index for _, start in left})
            return
        except QueueAwayError:
            self._perhaps.update(befores)
            raise
        except JobRefusedError as error:
            if len(left) > 1:
                for one in left:
                    self._submit([one])
                return
            with one_target(self._listener, left[0][1].index):
                raise error from None
            return
        for id_, (_, start) in zip(ids, left, strict=True):
            self._take(start, id_, befores[start.index], is_adopted=False)

    def _wait(self, error: JobNotYetError, indices: set[int]) -> None:
        """Submit jobs later; say so once."""
        if not indices <= self._not_yet:
            self._not_yet |= indices
            what = f"{error.with_reason}; submitted later"
            self._listener.moved(Warned(what, error.hint or ""))
        self._submit_at = time.monotonic() + _PAUSE_IF_NOT_YET

    def _take(self, start: Start, job: str, before: Before, *, is_adopted: bool) -> None:
        """Follow a job from now on."""
        name = self._specs[start.index].name
        self._followed.take(start, name, job, before, is_adopted=is_adopted)
        self.drop(start.index)

    def _unsettled(self, asked: Sequence[Start]) -> list[Start]:
        """Return those that need a job; the others are built, held, or a job runs them."""
        store, targets = self._session.store, self._session.targets.all
        seen: dict[int, Seen] = {}
        for start in asked:
            with one_target(self._listener, start.index):
                found = start.seen or look(store, targets[start.index].output_path)
                seen[start.index], self._looked[start.index] = found, found.status_version
        names = {
            job: self._specs[index].name
            for index, it in seen.items()
            if (job := self._followed.job_holding(it.lease))
        }
        states = self._queue.poll(names) if names else {}
        unsettled = []
        for start in asked:
            with one_target(self._listener, start.index):
                if start.index in seen and not self._is_settled(start, seen[start.index], states):
                    unsettled.append(start)
        return unsettled

    def _is_settled(self, start: Start, seen: Seen, states: Mapping[str, JobState]) -> bool:
        """Answer for a target that needs no new job; return whether it is one."""
        if (outcome := self._followed.unreported(start)) is not None:
            self._listener.ended(start.index, outcome)
            return True
        if seen.status == "SUCCESS" and not start.force:
            built = finished_elsewhere(self._session, start.index, Finished(published=False))
            self._listener.ended(start.index, built)
            return True
        lease = seen.lease
        if lease is None or lease.is_sealed or lease.nonce == "":
            return False
        job = self._followed.job_holding(lease)
        if job and states[job].phase in {Phase.QUEUED, Phase.RUNNING}:
            before = replace(self._followed.before(start.index), attempt=lease.attempt - 1)
            self._take(start, job, before, is_adopted=True)
            return True
        if job and states[job].phase is Phase.ENDED:
            return False  # it died with its lease: the next job watches that age, as it must anyway
        is_over = start.stale_version == seen.lease_version
        if is_over or self._session.is_abandoned(start.index, lease):
            return False
        self._listener.ended(start.index, Held(lease, seen.lease_version))
        return True
