"""Targets built by jobs of a queue: submitted when they are ready, followed by one thread.

A job is known by its name, which is the same for every run that builds the same target. So a run
that is killed leaves its jobs to the next one, which finds and follows them.
"""

from __future__ import annotations

import queue
import threading
import time
from collections import deque
from contextlib import suppress
from typing import TYPE_CHECKING

from marin_build.apply.events import Warned
from marin_build.apply.followed_jobs import FollowedJobs
from marin_build.apply.silence import Silence
from marin_build.apply.wanted_jobs import WantedJobs
from marin_build.engines.jobs import QueueAwayError
from marin_build.errors import StoreAwayError
from marin_build.plan.outcomes import Failed
from marin_build.run_step.patient_store import PatientStore
from marin_build.run_step.workers import Ended

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from marin_build.apply.events import Event
    from marin_build.engines.jobs import JobQueue, JobRequest
    from marin_build.plan.outcomes import Outcome
    from marin_build.run_step.session import Session
    from marin_build.run_step.workers import Lingers, Start

LOOK_EVERY = 0.3
"""Seconds between two looks at the statuses of running targets on a local disk."""


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
        self._to_end: dict[int, bool] = {}  # index -> whether by force
        self._cancelled: set[tuple[int, bool]] = set()
        self._followed = FollowedJobs(session, engine, jobs, self._to_end, self)
        self._wanted = WantedJobs(session, jobs, specs, self._followed, self._to_end, self)
        self._ready: deque[Start] = deque()
        self._something = threading.Event()
        self._is_closed = False
        self._poll_at = self._look_at = 0.0
        self._silence = Silence()
        self._thread = threading.Thread(target=self._follow, daemon=True, name=f"{engine} jobs")
        self._thread.start()

    def answer_to(self, hear: Callable[[Ended | Lingers], None]) -> None:
        """Do nothing: `wait` returns what jobs answer, many at once."""

    def start(self, request: Start) -> None:
        """Have a target built by a job: what is ready together is submitted together, by `wait`."""
        self._ready.append(request)

    def wait(self, timeout: float | None) -> list[Ended]:
        """Return what has ended."""
        if self._ready:
            while self._ready:  # another thread may start more meanwhile
                self._wanted.add(self._ready.popleft())
            self._something.set()
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
        self._wanted.close()
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
        count = len(self._followed)
        self._wanted.begin()
        if len(self._followed) > count:  # new jobs are asked about soon
            self._poll_at = min(self._poll_at, time.monotonic() + self._jobs.poll_every)
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
        due = [self._silence.ask_at] if self._silence else []
        if self._wanted.due is not None:
            due.append(self._wanted.due)
        if self._followed:
            due += [self._look_at, max(self._poll_at, self._silence.ask_at)]
        return max(0.0, min(due) - time.monotonic()) if due else None

    def _say(self, answer: Ended | Event) -> None:
        self._answers.put(answer)
        self._on_answer()

    def ended(self, index: int, outcome: Outcome) -> None:
        """Answer with how a target ended."""
        self._wanted.drop(index)
        self._to_end.pop(index, None)
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
        self._wanted.add(request)
        self._something.set()

    def _fail_all(self, message: str) -> None:
        for index in [*self._followed.indices, *self._wanted.indices]:
            self.ended(index, Failed(0, 3, message))

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
            self._jobs.cancel(self._followed.jobs(asked), kill=kill)
            self._cancelled.update((i, kill) for i in asked)  # what got no answer is asked again
            self._poll_at = min(self._poll_at, time.monotonic() + 1.0)
