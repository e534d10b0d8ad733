"""The books of a run: which of its targets wait, run and have ended, and what is due when.

One thread at a time may use them; the build loop sees to that.
"""

from __future__ import annotations

import time
from dataclasses import replace
from typing import TYPE_CHECKING, Protocol

from marin_build.apply import events as report
from marin_build.apply.deadlines import Deadlines
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


class Books:
    """Enters what ended, starts what can start, and reports both.

    Args:
        targets: by index of the schedule; may grow.
        schedule: which of them are to be built.
        isolation: builds them.
        requests: makes the requests to it.
        jobs: how many at once.
        max_failures: after so many failures nothing more is started; None: go on to the end.
        fail_fast: then what runs is ended, too.
        once: a failed target is not tried again, whatever its step declares.
        on_event: called with every event, one at a time, by the thread in which it happened.

    Attributes:
        interrupts: how often the run was asked to end.
        is_stopped: whether nothing more is to be started.
        is_ending: whether what runs is being ended.

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
        on_event: Callable[[Event], None],
    ) -> None:
        self._targets = targets
        self._schedule = schedule
        self._isolation = isolation
        self._requests = requests
        self._jobs = jobs
        self._max_failures = max_failures
        self._fail_fast = fail_fast
        self._once = once
        self._on_event = on_event
        self.timeline = Timeline(len(targets), jobs)
        self._delays = Delays(targets)
        self._deadlines = Deadlines()
        self.interrupts = 0
        self.is_stopped = self.is_ending = False
        self._began = time.monotonic()

    def open(self) -> None:
        """Take note that the run begins."""
        self._began = time.monotonic()

    @property
    def seconds(self) -> float:
        """The seconds since it began."""
        return time.monotonic() - self._began

    @property
    def running(self) -> list[int]:
        """The targets that run."""
        return self._schedule.in_state(Open.RUNNING)

    @property
    def is_running(self) -> bool:
        """Whether any target runs."""
        return self._schedule.count(Open.RUNNING) > 0

    @property
    def next_due(self) -> float:
        """When something else than an answer is due; infinite: nothing is."""
        due = self._deadlines.next_due
        if self._schedule.count(Held):
            due = min(due, self._requests.next_look)
        if (again := self._delays.next_due) is not None and not self._has_failed_enough:
            due = min(due, again)
        return due

    @property
    def in_flight(self) -> bool:
        """Whether anything runs, or may start later."""
        count = self._schedule.count
        waiting = 0 if self._has_failed_enough else count(Held) + count(Open.DELAYED)
        return count(Open.RUNNING) + waiting > 0

    @property
    def must_end(self) -> bool:
        """Whether what runs is to be ended, too."""
        return self.interrupts > 0 or (self._fail_fast and self._has_failed_enough)

    def add(self, index: int, needs: Iterable[int]) -> None:
        """Enter one more target, after what it needs."""
        self.timeline.grow(index + 1)
        self._say_blocked(self._schedule.add(index, needs))

    def do_what_is_due(self) -> None:
        """End what runs for too long, and make ready what need not wait any more."""
        self._end_overdue()
        self._look_at_held()
        self._end_delays()

    def settle(self, answer: Ended | Lingers) -> None:
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

    def start_ready(self) -> bool:
        """Start what is ready and finds a slot; return whether anything was started."""
        if self.interrupts > 0 or self._has_failed_enough:
            return False
        started = False
        while self._schedule.count(Open.RUNNING) < self._jobs:
            index = self._schedule.take()
            if index is None:
                break
            self._start(index)
            started = True
        return started

    def end_all(self) -> None:
        """Report that what runs is to end, for an interrupt or a failure, and ask it to."""
        running = self.running
        self.is_ending = True
        if self.interrupts:
            self._on_event(report.Interrupting(len(running)))
        elif running:
            self._on_event(report.FailingFast(len(running)))
        for index in running:
            self._isolation.terminate(index, kill=False, why=INTERRUPTED)

    def kill_all(self) -> None:
        """Kill what still runs."""
        for index in self.running:
            self._isolation.terminate(index, kill=True, why=INTERRUPTED)

    def _judged(self, index: int, failure: Failed) -> Failed:
        """Return a failure with what follows from it: another try, at once or later, or none."""
        is_last = self._once or self.interrupts > 0 or self.is_ending or self._isolation.is_spent
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

    @property
    def _has_failed_enough(self) -> bool:
        """Whether nothing more is started: after failures, if stopped, or at the workers' end."""
        if self._isolation.is_spent or self.is_stopped:
            return True
        failed = self._schedule.count(Failed) + self._schedule.count(Stopped)
        return self._max_failures is not None and failed >= self._max_failures
