"""The loop between the schedule and the workers that build its targets.

    a worker's thread --- "it ended so" ---> settle, start what can start -+
        ^------------ the next target to build in this very thread --------+
    the thread of `run`: what is due by time, until the end

The thread that has built a target settles it and takes the next one itself: to hand a step over to
another thread, and back, takes longer than most of what is done for it. Only workers without
threads of their own, like the queue of an engine, answer to the thread of `run`. One lock guards
the books: the schedule, the timeline, what is due, and the order of the events.
"""

from __future__ import annotations

import math
import threading
import time
from collections import deque
from dataclasses import replace
from typing import TYPE_CHECKING, Protocol

from marin_build.apply import events as report
from marin_build.apply.deadlines import GRACE, Deadlines
from marin_build.apply.timeline import Timeline
from marin_build.apply.waiting import Delays
from marin_build.pipeline.retries import Verdict
from marin_build.plan.outcomes import Blocked, Failed, Held, Stopped, Succeeded
from marin_build.plan.schedule import Open
from marin_build.run_step.workers import INTERRUPTED, Lingers

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from marin_build.apply.events import Event
    from marin_build.pipeline.targets import Target
    from marin_build.plan.schedule import Schedule
    from marin_build.run_step.workers import Ended, Isolation, Start


GRACE_AFTER_KILL = 2.0
"""Seconds to wait for the end of what was killed; then its leases are left to go stale."""
GRACE_OF_GANG = 15.0
"""The same where a gang builds: its ranks on other hosts end first. With GRACE, it is less than the
30 s after which Slurm, by default, kills what it has asked to end."""


class Requests(Protocol):
    """Makes the loop's requests to workers, and watches leases of other runs on its targets."""

    @property
    def next_look(self) -> float:
        """When to look again at targets that other runs hold: seconds of the monotonic clock."""

    def start(self, index: int, now: float) -> Start:
        """Return the request to build a target."""

    def ended(self, index: int) -> None:
        """Take note that a target does not run any more."""

    def held(self, index: int, by: Held, now: float) -> None:
        """Take note that another run holds a target."""

    def freed(self, held: Iterable[int], now: float) -> list[int]:
        """Return those of the held targets that their holders finished or abandoned."""


class BuildLoop:
    """Builds the targets of a schedule, and says what happens.

    Targets may be added while it runs, by another thread, if it is open.

    Args:
        targets: by index of the schedule; may grow.
        schedule: which of them are to be built.
        isolation: builds them.
        requests: makes the requests to it.
        jobs: how many at once.
        max_failures: after so many failures nothing more is started; None: go on to the end.
        fail_fast: then end the running steps, too.
        once: a failed target is not tried again, whatever its step declares.
        is_open: whether it waits for more targets until it is closed.
        tend: called by the thread of `run` with the seconds of the monotonic clock, each time that
            it wakes; returns when to call it at the latest, or None: whenever that is.
        grace_after_kill: seconds to wait for the end of what was killed.
        on_event: called with every event, one at a time, by the thread in which it happened.

    """

    def __init__(
        self,
        targets: Sequence[Target],
        schedule: Schedule,
        isolation: Isolation,
        requests: Requests,
        *,
        jobs: int,
        max_failures: int | None = None,
        fail_fast: bool = False,
        once: bool = False,
        is_open: bool = False,
        tend: Callable[[float], float | None] = lambda _now: None,
        grace_after_kill: float = GRACE_AFTER_KILL,
        on_event: Callable[[Event], None],
    ) -> None:
        self._books = threading.Lock()
        self._targets = targets
        self._schedule = schedule
        self._isolation = isolation
        self._requests = requests
        self._jobs = jobs
        self._max_failures = max_failures
        self._fail_fast = fail_fast
        self._tend, self._on_event = tend, on_event
        self._tend_at: float | None = None
        self._once = once
        self._grace_after_kill = grace_after_kill
        self.timeline = Timeline(len(targets), jobs)
        self._delays = Delays(targets)
        self._deadlines = Deadlines()
        self._added: deque[tuple[int, Iterable[int]]] = deque()
        self._is_open = is_open
        self._is_stopped = False
        self._interrupts = 0
        self._ending = False
        self._is_over = False
        self._error: BaseException | None = None  # of a worker's thread, for the thread of `run`
        self._sleeps_until = math.inf  # the thread of `run`
        self._began = time.monotonic()

    def run(self) -> None:
        """Build everything that can be built."""
        self._began = time.monotonic()
        self._isolation.answer_to(self._hear)
        try:
            answers: Sequence[Ended | Lingers] = ()
            while (pause := self._go_on(answers)) is not None:
                answers = self._isolation.wait(None if pause == math.inf else pause)
            if self._must_end():
                self._end_what_runs()
        finally:
            with self._books:
                self._is_over = True

    def _go_on(self, answers: Iterable[Ended | Lingers]) -> float | None:
        """Settle answers, do what is due, and start what can start.

        Returns:
            The seconds until more is due, infinite if nothing is; None: it is over, or must end.

        """
        with self._books:
            self._take_in(answers)
            self._end_overdue()
            self._look_at_held()
            self._end_delays()
            if self._must_end() or not self._goes_on():
                return None
            self._sleeps_until = self._next_due()
            return max(0.0, self._sleeps_until - time.monotonic())

    def _take_in(self, answers: Iterable[Ended | Lingers]) -> None:
        """Settle answers, in the thread of `run`; raise what another thread met meanwhile."""
        if self._error is not None:
            raise self._error
        for answer in answers:
            self._settle(answer)
        self._tend_at = self._tend(time.monotonic())

    def _hear(self, answer: Ended | Lingers) -> None:
        """Settle an answer and start what can start now, in the thread of the worker that calls."""
        with self._books:
            if self._is_over:
                return  # nobody waits for it any more
            try:
                self._settle(answer)
                self._start_ready()
            except BaseException as error:  # noqa: BLE001 - the thread of `run` raises it
                self._error = error if self._error is None else self._error
            if (
                self._error is not None
                or self._must_end()
                or not (self._in_flight() or self._is_open)
                or self._next_due() < self._sleeps_until
            ):
                self._isolation.wake()

    def add(self, index: int, needs: Iterable[int]) -> None:
        """Have a target built, too, after what it needs, which was added before."""
        self._added.append((index, needs))
        self._isolation.wake()

    def close(self) -> None:
        """Say that no more targets are added: `run` returns when the last one has ended."""
        self._is_open = False
        self._isolation.wake()

    def stop(self) -> None:
        """Start nothing more: `run` returns when what runs now has ended."""
        self._is_stopped = True
        self.close()

    def interrupt(self) -> None:
        """Ask the run and its running steps to end; a second call kills these.

        A signal handler may call it at any time: it only counts the call and wakes the loop.
        """
        self._interrupts += 1
        self._isolation.wake()

    @property
    def was_interrupted(self) -> bool:
        """Whether `interrupt` was called."""
        return self._interrupts > 0

    @property
    def seconds(self) -> float:
        """The seconds since it began."""
        return time.monotonic() - self._began

    def _goes_on(self) -> bool:
        """Start what can start; return whether anything runs, or may start later."""
        is_open = self._is_open  # read first: what was added before `close` is not missed
        while self._added:
            index, needs = self._added.popleft()
            self.timeline.grow(index + 1)
            self._say_blocked(self._schedule.add(index, needs))
        return self._start_ready() or self._in_flight() or is_open

    def _has_failed_enough(self) -> bool:
        """Return whether nothing more is started: after failures, `stop` or the workers' end."""
        if self._isolation.is_spent or self._is_stopped or self._error is not None:
            return True
        failed = self._schedule.count(Failed) + self._schedule.count(Stopped)
        return self._max_failures is not None and failed >= self._max_failures

    def _must_end(self) -> bool:
        """Return whether what runs is to be ended, too."""
        return self._interrupts > 0 or (self._fail_fast and self._has_failed_enough())

    def _start_ready(self) -> bool:
        """Start what is ready and finds a slot; return whether anything was started."""
        if self._interrupts > 0 or self._has_failed_enough():
            return False
        started = False
        while self._schedule.count(Open.RUNNING) < self._jobs:
            index = self._schedule.take()
            if index is None:
                break
            self._start(index)
            started = True
        return started

    def _start(self, index: int) -> None:
        target, now = self._targets[index], time.monotonic()
        short = self._schedule.was_short(index)
        needs = self._schedule.needs_of(index)
        at = self.timeline.start(index, needs, self.seconds, short=short)
        after = "" if at.after is None else self._targets[at.after].id
        self._on_event(report.StepStarted(target.name, target.id, at.slot, after, at.queued))
        request = self._requests.start(index, now)
        if request.timeout is not None:
            self._deadlines.set(index, now + request.timeout)
        self._isolation.start(request)

    def _in_flight(self) -> bool:
        count = self._schedule.count
        waiting = 0 if self._has_failed_enough() else count(Held) + count(Open.DELAYED)
        return count(Open.RUNNING) + waiting > 0

    def _next_due(self) -> float:
        """Return when something else than an answer is due; infinite: nothing is."""
        due = self._deadlines.next_due
        if self._tend_at is not None:
            due = min(due, self._tend_at)
        if self._schedule.count(Held):
            due = min(due, self._requests.next_look)
        if (again := self._delays.next_due) is not None and not self._has_failed_enough():
            due = min(due, again)
        return due

    def _settle(self, answer: Ended | Lingers) -> None:
        """Enter the answer of a worker into the schedule, and report what follows from it."""
        index = answer.index
        if isinstance(answer, Lingers):
            target = self._targets[index]
            self._on_event(report.StepLingers(target.name, target.id, answer.text))
            return
        outcome = answer.outcome
        self._deadlines.drop(index)
        self.timeline.end(index, self.seconds)
        self._requests.ended(index)
        if isinstance(outcome, Held):
            self._requests.held(index, outcome, time.monotonic())
        else:
            if isinstance(outcome, Failed):
                outcome = self._judged(index, outcome)
            if isinstance(outcome, Failed | Succeeded):
                self.timeline.took(index, outcome.seconds)
            target = self._targets[index]
            self._on_event(report.StepEnded(target.name, target.id, outcome))
        self._say_blocked(self._schedule.end(index, outcome))

    def _judged(self, index: int, failure: Failed) -> Failed:
        """Return a failure with what follows from it: another try, at once or later, or none."""
        is_last = self._once or self._interrupts > 0 or self._ending or self._isolation.is_spent
        is_last = is_last or failure.is_finished
        verdict = Verdict(0, None) if is_last else self._delays.failed(index, failure.cause)
        if verdict.wait:
            self._delays.put(index, time.monotonic() + verdict.wait)
        return replace(failure, retries_left=verdict.left, retry_in=verdict.wait)

    def _say_blocked(self, blocked: Iterable[tuple[int, int]]) -> None:
        for index, upstream in blocked:
            target = self._targets[index]
            why = Blocked(self._targets[upstream].name)
            self._on_event(report.StepEnded(target.name, target.id, why))

    def _end_overdue(self) -> None:
        """Ask what runs for too long to end; kill it after the grace period."""
        for index, kill in self._deadlines.pop(time.monotonic()):
            why = f"timed out after {self._targets[index].step.timeout:g} s"
            self._isolation.terminate(index, kill=kill, why=why)

    def _look_at_held(self) -> None:
        """Make targets ready that other runs finished or abandoned: workers find out which."""
        if not self._schedule.count(Held):
            return
        held = self._schedule.in_state(Held)
        for index in self._requests.freed(held, time.monotonic()):
            self.timeline.release(index, self.seconds)
            self._schedule.move(index, Open.READY)

    def _end_delays(self) -> None:
        """Make failed targets ready that have waited long enough for their next try."""
        for index in self._delays.pop(time.monotonic()):
            self.timeline.release(index, self.seconds)
            self._schedule.move(index, Open.READY)

    def _end_what_runs(self) -> None:
        """Ask what runs to end; kill it after the grace period, or at one more interrupt."""
        with self._books:
            running, heard = self._schedule.in_state(Open.RUNNING), self._interrupts
            self._ending = True
            if heard:
                self._on_event(report.Interrupting(len(running)))
            elif running:
                self._on_event(report.FailingFast(len(running)))
            self._terminate_all(kill=False)
        if self._drain(GRACE, lambda: self._interrupts > bool(heard)):
            return
        with self._books:
            self._terminate_all(kill=True)
        self._drain(self._grace_after_kill, lambda: False)

    def _terminate_all(self, *, kill: bool) -> None:
        for index in self._schedule.in_state(Open.RUNNING):
            self._isolation.terminate(index, kill=kill, why=INTERRUPTED)

    def _drain(self, seconds: float, give_up: Callable[[], bool]) -> bool:
        """Wait until nothing runs; return False if time ran out, or `give_up` says so."""
        deadline = time.monotonic() + seconds
        answers: Sequence[Ended | Lingers] = ()
        while True:
            with self._books:
                self._take_in(answers)
                now, until = time.monotonic(), deadline
                if not self._schedule.count(Open.RUNNING):
                    return True
                if now >= deadline or give_up():
                    return False
                if self._tend_at is not None:
                    until = min(until, self._tend_at)
            answers = self._isolation.wait(max(0.0, until - now))
