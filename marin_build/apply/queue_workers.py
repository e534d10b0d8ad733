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
from dataclasses import dataclass
from typing import TYPE_CHECKING

from marin_build.apply.events import JobMoved, Warned
from marin_build.apply.job_outcomes import outcome_in_store, outcome_of_queue, with_output
from marin_build.engines.jobs import JobRefusedError, JobState, Phase, QueueAwayError
from marin_build.errors import MarinBuildError, StoreError
from marin_build.pauses import doubled
from marin_build.plan.outcomes import Failed, Held, Interrupted, Reused
from marin_build.protocol import layout
from marin_build.protocol.held_target import newest_attempt
from marin_build.protocol.look import look
from marin_build.run_step.workers import INTERRUPTED, Ended

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from marin_build.apply.events import Event
    from marin_build.engines.jobs import JobQueue, JobRequest
    from marin_build.plan.outcomes import Outcome
    from marin_build.run_step.session import Session
    from marin_build.run_step.workers import Start

LOOK_EVERY = 0.3
"""Seconds between two looks at the statuses of running targets on a local disk."""
_LOST_AFTER = 60.0
"""Seconds a queue may know nothing of a job before it counts as lost."""
_LONGEST_PAUSE = 20.0
"""Seconds between two tries to reach a queue that gives no answer."""
_QUEUED = JobState(Phase.QUEUED)


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
        self._asked: deque[Start] = deque()
        self._to_end: dict[int, tuple[str, bool]] = {}  # index -> why, and whether by force
        self._cancelled: set[tuple[int, bool]] = set()
        self._followed: dict[int, _Followed] = {}
        self._something = threading.Event()
        self._is_closed = False
        self._poll_at = self._look_at = self._ask_at = 0.0
        self._away_since: float | None = None
        self._pauses = 0
        self._thread = threading.Thread(target=self._follow, daemon=True, name=f"{engine} jobs")
        self._thread.start()

    def start(self, request: Start) -> None:
        """Have a target built by a job."""
        self._asked.append(request)
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

    def terminate(self, index: int, *, kill: bool, why: str) -> None:
        """Cancel a job, or kill what it runs."""
        self._to_end[index] = (why, kill)
        self._something.set()

    def close(self) -> None:
        """Follow no more. What runs goes on: the next run finds it."""
        self._is_closed = True
        self._something.set()

    def _follow(self) -> None:
        while not self._is_closed:
            try:
                self._look()
                self._ask()
            except (QueueAwayError, StoreError) as error:
                self._away(error)
            except BaseException as error:  # noqa: BLE001 - a lost answer would hang the run
                self._fail_all(f"{type(error).__name__}: {error}")
            self._something.wait(self._pause())
            self._something.clear()

    def _look(self) -> None:
        """Look at the store: it tells of an end sooner than the queue, and when that is away."""
        if self._followed and time.monotonic() >= self._look_at:
            self._look_at_statuses()
            is_local = self._session.store.is_local
            pause = LOOK_EVERY if is_local else self._jobs.poll_every
            self._look_at = time.monotonic() + pause

    def _ask(self) -> None:
        """Ask the queue what is to be asked, unless it gave no answer a moment ago."""
        if time.monotonic() < self._ask_at:
            return
        self._begin()
        self._cancel()
        if self._followed and time.monotonic() >= self._poll_at:
            self._poll()
            self._poll_at = time.monotonic() + self._jobs.poll_every
        if self._away_since is not None:
            seconds = time.monotonic() - self._away_since
            self._away_since, self._pauses = None, 0
            self._say(Warned(f"it answers again, after {seconds:.0f} s"))

    def _away(self, error: MarinBuildError) -> None:
        """Wait for a queue or a store that gives no answer; say so once."""
        self._pauses += 1
        self._ask_at = time.monotonic() + doubled(self._pauses, 1.0, _LONGEST_PAUSE)
        if self._away_since is None:
            self._away_since = time.monotonic()
            self._say(Warned(f"{error.what}; asking again until it answers, jobs go on meanwhile"))

    def _pause(self) -> float | None:
        due = [self._ask_at] if self._away_since is not None else []
        if self._followed:
            due += [self._look_at, max(self._poll_at, self._ask_at)]
        return max(0.0, min(due) - time.monotonic()) if due else None

    def _say(self, answer: Ended | Event) -> None:
        self._answers.put(answer)
        self._on_answer()

    def _answer(self, index: int, outcome: Outcome) -> None:
        if (followed := self._followed.pop(index, None)) is not None:
            self._jobs.forget(followed.id)
        self._to_end.pop(index, None)
        self._cancelled -= {(index, False), (index, True)}
        self._say(Ended(index, outcome))

    def _fail_all(self, message: str) -> None:
        for index in [*self._followed, *(start.index for start in self._asked)]:
            self._answer(index, Failed(0, 3, message))
        self._asked.clear()

    def _begin(self) -> None:
        """Find or submit the jobs of what was asked for."""
        ready = [start for start in list(self._asked) if not self._is_settled(start)]
        if not ready:
            return
        names = {self._specs[start.index].name for start in ready}
        known = self._jobs.find(names)
        for start in ready:
            if self._is_closed:
                return
            spec = self._specs[start.index]
            if start.index in self._to_end:
                self._asked.remove(start)
                self._answer(start.index, Interrupted())
            elif spec.name in known:
                self._take(start, known[spec.name], is_adopted=True)
            else:
                self._submit(start, spec)

    def _submit(self, start: Start, spec: JobRequest) -> None:
        try:
            job = self._jobs.submit(spec)
        except JobRefusedError as error:
            self._asked.remove(start)
            self._answer(start.index, Failed(0, 1, error.what, hint=error.hint or ""))
        else:
            self._take(start, job, is_adopted=False)

    def _take(self, start: Start, job: str, *, is_adopted: bool) -> None:
        """Follow a job from now on."""
        output = self._session.targets.all[start.index].output_path
        store = self._session.store
        after = newest_attempt(store, output)
        said = store.get(f"{output}/{layout.STATUS}")
        self._asked.remove(start)
        spec = self._specs[start.index]
        status = said.version if said is not None else ""
        self._followed[start.index] = _Followed(start, spec.name, job, after, is_adopted, status)
        self._poll_at = min(self._poll_at, time.monotonic() + self._jobs.poll_every)
        self._say_where(start.index, JobState(Phase.QUEUED, "adopted" if is_adopted else ""))

    def _is_settled(self, start: Start) -> bool:
        """Answer for a target that needs no new job: it is built, held, or a job runs it."""
        target = self._session.targets.all[start.index]
        seen = start.seen or look(self._session.store, target.output_path)
        if seen.status == "SUCCESS" and not start.force:
            self._asked.remove(start)
            self._answer(start.index, Reused())
            return True
        lease = seen.lease
        if lease is None or lease.is_sealed or lease.nonce == "":
            return False
        engine, _, job = lease.job.partition(":")
        if engine == self._engine and job:
            name = self._specs[start.index].name
            if self._jobs.poll({job: name})[job].phase in {Phase.QUEUED, Phase.RUNNING}:
                self._take(start, job, is_adopted=True)
                self._followed[start.index].after = lease.attempt - 1
                return True
        is_over = start.stale_version == seen.lease_version
        if is_over or self._session.is_abandoned(start.index, lease):
            return False
        self._asked.remove(start)
        self._answer(start.index, Held(lease, seen.lease_version))
        return True

    def _cancel(self) -> None:
        """Ask those jobs to end that are to be ended; each once, and killed once."""
        for kill in (False, True):
            asked = [
                i
                for i, (_, by_force) in list(self._to_end.items())
                if by_force is kill and i in self._followed and (i, kill) not in self._cancelled
            ]
            self._cancelled.update((i, kill) for i in asked)
            self._jobs.cancel([self._followed[i].id for i in asked], kill=kill)
            if asked:
                self._poll_at = min(self._poll_at, time.monotonic() + 1.0)

    def _look_at_statuses(self) -> None:
        """Answer for the targets whose status says that an attempt ended since."""
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
        """Answer, unless Slurm starts an interrupted attempt again."""
        job = self._followed[index].id
        if isinstance(outcome, Interrupted) and index not in self._to_end:
            return  # the queue will say why
        self._answer(index, with_output(outcome, lambda: self._jobs.output_of(job)))

    def _poll(self) -> None:
        asked = {followed.id: followed.name for followed in self._followed.values()}
        states = self._jobs.poll(asked)
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
                self._asked.append(followed.request)
                self._something.set()
                return
            job = f"{self._engine}:{followed.id}"
            outcome = outcome_of_queue(state, job, self._jobs.output_of(followed.id))
        self._answer(index, with_output(outcome, lambda: self._jobs.output_of(followed.id)))

    def _miss(self, index: int, state: JobState) -> None:
        """Look for a job that the queue does not know; it may have another id by now."""
        followed, now = self._followed[index], time.monotonic()
        followed.unknown_since = followed.unknown_since or now
        if (outcome := self._in_store(index)) is not None:
            self._answer(index, outcome)
        elif followed.name in (again := self._jobs.find([followed.name])):
            followed.id, followed.unknown_since = again[followed.name], None
        elif now - followed.unknown_since >= _LOST_AFTER:
            lost = JobState(Phase.ENDED, state.words, "infra")
            job = f"{self._engine}:{followed.id}"
            self._answer(index, outcome_of_queue(lost, job, ""))

    def _say_where(self, index: int, state: JobState) -> None:
        target, followed = self._session.targets.all[index], self._followed[index]
        job = f"{self._engine}:{followed.id}"
        said = (state.phase.value, state.words, state.place)
        self._say(JobMoved(target.name, target.id, job, *said))
