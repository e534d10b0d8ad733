"""Targets built by jobs of a queue: submitted when they are ready, followed by one thread.

A job is known by its name, which is the same for every run that builds the same target. So a run
that is killed leaves its jobs to the next one, which finds and follows them.
"""

from __future__ import annotations

import queue
import threading
import time
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING

from marin_build.apply.events import Warned
from marin_build.apply.followed_jobs import FollowedJobs
from marin_build.apply.job_listener import one_target
from marin_build.apply.silence import Silence
from marin_build.engines.jobs import JobNotYetError, Phase, QueueAwayError
from marin_build.errors import StoreAwayError
from marin_build.plan.outcomes import Failed, Held, Interrupted
from marin_build.protocol.acquire import Finished
from marin_build.protocol.look import look
from marin_build.run_step.patient_store import PatientStore
from marin_build.run_step.supervisor import finished_elsewhere
from marin_build.run_step.workers import Ended

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from marin_build.apply.events import Event
    from marin_build.apply.followed_jobs import Before
    from marin_build.engines.jobs import JobQueue, JobRequest, JobState
    from marin_build.plan.outcomes import Outcome
    from marin_build.protocol.look import Seen
    from marin_build.run_step.session import Session
    from marin_build.run_step.workers import Start

LOOK_EVERY = 0.3
"""Seconds between two looks at the statuses of running targets on a local disk."""
_PAUSE_IF_NOT_YET = 2.0
"""Seconds between two tries to submit a job that the queue cannot take now."""


class QueueWorkers:
    """Builds targets of one session by jobs of one queue; an `Isolation`.

    Args:
        session: the run.
        engine: the name of the engine.
        jobs: the queue.
        specs: by index, what is submitted for a target.
        on_event: gets what happens to jobs, in the thread that calls `wait`.
        on_answer: called, by another thread, when `wait` would return something.

    """

    is_spent = False

    def __init__(
        self,
        session: Session,
        engine: str,
        jobs: JobQueue,
        specs: Mapping[int, JobRequest],
        on_event: Callable[[Event], None],
        on_answer: Callable[[], None] = lambda: None,
    ) -> None:
        self._session, self._engine, self._jobs, self._specs = session, engine, jobs, specs
        self._on_event, self._on_answer = on_event, on_answer
        self._answers: queue.SimpleQueue[Ended | Event | None] = queue.SimpleQueue()
        self._asked: dict[int, Start] = {}
        self._to_end: dict[int, bool] = {}  # index -> whether by force
        self._cancelled: set[tuple[int, bool]] = set()
        self._perhaps: set[int] = set()  # a submit of theirs got no answer
        self._not_yet: set[int] = set()  # the queue cannot take their jobs now
        self._followed = FollowedJobs(session, engine, jobs, self._to_end, self)
        self._something = threading.Event()
        self._is_closed = False
        self._poll_at = self._look_at = 0.0
        self._silence = Silence()
        self._thread = threading.Thread(target=self._follow, daemon=True, name=f"{engine} jobs")
        self._thread.start()

    def start(self, request: Start) -> None:
        """Have a target built by a job."""
        self._asked[request.index] = request
        self._something.set()

    def wait(self, timeout: float | None) -> list[Ended]:
        """Return what has ended."""
        found: list[Ended] = []
        with suppress(queue.Empty):
            got = self._answers.get(timeout=timeout)
            while True:
                if isinstance(got, Ended):
                    found.append(got)
                elif got is not None:
                    self._on_event(got)
                got = self._answers.get_nowait()
        return found

    def wake(self) -> None:
        """Make `wait` return; safe in a signal handler."""
        self._answers.put(None)

    def terminate(self, index: int, *, kill: bool, why: str) -> None:  # noqa: ARG002 - it is one
        """Cancel a job, or kill what it runs: for an interrupt, since jobs know their own time."""
        self._to_end[index] = kill
        self._something.set()

    def close(self) -> None:
        """Follow no more. What runs goes on: the next run finds it."""
        self._is_closed = True
        self._something.set()

    def _follow(self) -> None:
        while not self._is_closed:
            for part in (self._look, self._ask):  # jobs are ended while the store is away, too
                try:
                    part()
                except QueueAwayError as error:
                    self._away(error.with_reason, self._engine)
                except StoreAwayError as error:
                    self._away(error.with_reason, "the store")
                except BaseException as error:  # noqa: BLE001 - a lost answer would hang the run
                    self._fail_all(f"{type(error).__name__}: {error}")
            self._something.wait(self._pause())
            self._something.clear()

    def _look(self) -> None:
        """Look at the store: it tells of an end sooner than the queue, and when that is away."""
        if self._followed and time.monotonic() >= self._look_at:
            is_local = self._session.store.is_local
            pause = LOOK_EVERY if is_local else self._jobs.poll_every
            self._look_at = time.monotonic() + pause  # also when the store gives no answer
            self._followed.look_at_statuses()
            self._look_at = time.monotonic() + pause

    def _ask(self) -> None:
        """Ask the queue what is to be asked, unless it gave no answer a moment ago."""
        ends_without_store = bool(self._to_end) and self._silence.who != self._engine
        if time.monotonic() < self._silence.ask_at and not ends_without_store:
            return
        self._cancel()
        self._begin()
        if self._followed and time.monotonic() >= self._poll_at:
            self._followed.poll()
            self._poll_at = time.monotonic() + self._jobs.poll_every
        seconds, who = self._silence.is_over(), self._silence.who
        if seconds is not None and not self._is_told_of(who):
            self._say(Warned(f"{who} answers again, after {seconds:.0f} s"))

    def _away(self, what: str, who: str) -> None:
        """Wait for a queue or a store that gives no answer; say so once."""
        is_first = self._silence.goes_on(who, is_urgent=bool(self._to_end))
        if is_first and not self._is_told_of(who):
            self._say(Warned(f"{what}; asking again until it answers, jobs go on meanwhile"))

    def _is_told_of(self, who: str) -> bool:
        """Return whether the run says by itself that the store gives no answer."""
        return who != self._engine and isinstance(self._session.store, PatientStore)

    def _pause(self) -> float | None:
        due = [self._silence.ask_at] if self._silence or self._not_yet else []
        if self._followed:
            due += [self._look_at, max(self._poll_at, self._silence.ask_at)]
        return max(0.0, min(due) - time.monotonic()) if due else None

    def _say(self, answer: Ended | Event) -> None:
        self._answers.put(answer)
        self._on_answer()

    def ended(self, index: int, outcome: Outcome) -> None:
        """Answer with how a target ended."""
        self._asked.pop(index, None)
        self._to_end.pop(index, None)
        self._perhaps.discard(index)
        self._not_yet.discard(index)
        self._cancelled -= {(index, False), (index, True)}
        try:
            self._followed.let_go(index, outcome, self._specs[index].name)
        finally:  # a lost answer would hang the run
            self._say(Ended(index, outcome))

    def moved(self, event: Event) -> None:
        """Pass on what the queue says of a job."""
        self._say(event)

    def ask_again(self, request: Start) -> None:
        """Find or submit another job: the one that was found had ended."""
        self._asked[request.index] = request
        self._something.set()

    def _fail_all(self, message: str) -> None:
        for index in [*self._followed.indices, *list(self._asked)]:
            self.ended(index, Failed(0, 3, message))

    def _begin(self) -> None:
        """Find or submit the jobs of what was asked for."""
        for index in self._asked.keys() & self._to_end.keys() - self._perhaps:
            self.ended(index, Interrupted())
        ready = self._unsettled(list(self._asked.values()))
        if not ready:
            return
        known = self._jobs.find({self._specs[start.index].name for start in ready})
        for start in ready:
            if self._is_closed:
                return
            with one_target(self, start.index):
                job = known.get(self._specs[start.index].name)
                # A submit without an answer may have been carried out: that job is ended, too.
                if start.index in self._to_end and not (job and start.index in self._perhaps):
                    self.ended(start.index, Interrupted())
                elif job is not None:
                    self._take(start, job, self._followed.before(start.index), is_adopted=True)
                else:
                    self._submit(start)

    def _submit(self, start: Start) -> None:
        before = self._followed.before(start.index)  # read first: a job may end very soon
        try:
            job = self._jobs.submit(self._specs[start.index])
        except JobNotYetError as error:
            if start.index not in self._not_yet:
                self._not_yet.add(start.index)
                self._say(Warned(f"{error.with_reason}; submitted later", error.hint or ""))
            self._silence.ask_at = time.monotonic() + _PAUSE_IF_NOT_YET
            return
        except QueueAwayError:
            self._perhaps.add(start.index)
            raise
        self._take(start, job, before, is_adopted=False)

    def _take(self, start: Start, job: str, before: Before, *, is_adopted: bool) -> None:
        """Follow a job from now on."""
        name = self._specs[start.index].name
        self._followed.take(start, name, job, before, is_adopted=is_adopted)
        self._asked.pop(start.index)
        self._perhaps.discard(start.index)
        self._not_yet.discard(start.index)
        self._poll_at = min(self._poll_at, time.monotonic() + self._jobs.poll_every)

    def _unsettled(self, asked: Sequence[Start]) -> list[Start]:
        """Return those that need a job; the others are built, held, or a job runs them."""
        store, targets = self._session.store, self._session.targets.all
        seen: dict[int, Seen] = {}
        for start in asked:
            with one_target(self, start.index):
                seen[start.index] = start.seen or look(store, targets[start.index].output_path)
        names = {
            job: self._specs[index].name
            for index, it in seen.items()
            if (job := self._followed.job_holding(it.lease))
        }
        states = self._jobs.poll(names) if names else {}
        found = []
        for start in asked:
            with one_target(self, start.index):
                if start.index in seen and not self._is_settled(start, seen[start.index], states):
                    found.append(start)
        return found

    def _is_settled(self, start: Start, seen: Seen, states: Mapping[str, JobState]) -> bool:
        """Answer for a target that needs no new job; return whether it is one."""
        if (outcome := self._followed.unreported(start)) is not None:
            self.ended(start.index, outcome)
            return True
        if seen.status == "SUCCESS" and not start.force:
            built = finished_elsewhere(self._session, start.index, Finished(published=False))
            self.ended(start.index, built)
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
        self.ended(start.index, Held(lease, seen.lease_version))
        return True

    def _cancel(self) -> None:
        """Ask the jobs that are to end to do so, once each; then kill those that do not.

        A kill comes after a request, since it would leave a job that still waits.
        """
        for kill in (False, True):
            asked = [
                i
                for i, by_force in list(self._to_end.items())
                if by_force >= kill and i in self._followed and (i, kill) not in self._cancelled
            ]
            if not asked:
                continue
            self._jobs.cancel(self._followed.ids(asked), kill=kill)
            self._cancelled.update((i, kill) for i in asked)  # what got no answer is asked again
            self._poll_at = min(self._poll_at, time.monotonic() + 1.0)
