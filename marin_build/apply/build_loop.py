"""The loop between the schedule and what runs the steps."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING, assert_never

from marin_build.apply import events as report
from marin_build.apply.devices import Supply
from marin_build.apply.timeline import Course
from marin_build.apply.totals import drifted_before, reused_before, totals_of
from marin_build.apply.waiting import Delays, Holders, seen_by
from marin_build.pipeline.retries import Verdict
from marin_build.plan.decisions import Kind
from marin_build.plan.reason_text import describe
from marin_build.plan.reasons import UpstreamBlocked
from marin_build.plan.schedule import Schedule, State
from marin_build.run_step import workers as ended
from marin_build.run_step.workers import INTERRUPTED, Start

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from marin_build.apply.events import Event
    from marin_build.plan.capacity import Capacity
    from marin_build.plan.decisions import Plan
    from marin_build.run_step.session import Session
    from marin_build.run_step.workers import Ended, Isolation


GRACE = 10.0
"""Seconds an interrupted step has to end by itself."""
GRACE_AFTER_KILL = 2.0
"""Seconds to wait for the end of what was killed; then its leases are left to go stale."""


class Applier:
    """One replay of one plan. Disposable: kill it, and start another anywhere.

    Args:
        plan: what to build.
        session: what its targets share.
        isolation: builds them.
        jobs: how many at once.
        max_failures: after so many failures nothing more is started; None: go on to the end.
        fail_fast: end what runs then, too.
        expected: seconds that targets may take, of those of which that is known.
        capacity: what this machine has for them; None: only `jobs` limits.
        once: a failed target is not tried again, whatever its step declares.
        tell: is told every event.

    """

    def __init__(
        self,
        plan: Plan,
        session: Session,
        isolation: Isolation,
        *,
        jobs: int,
        max_failures: int | None = 1,
        fail_fast: bool = False,
        expected: Mapping[int, float] | None = None,
        capacity: Capacity | None = None,
        once: bool = False,
        tell: Callable[[Event], None],
    ) -> None:
        self._plan = plan
        self._session = session
        self._isolation = isolation
        self._jobs = jobs
        self._max_failures = max_failures
        self._fail_fast = fail_fast
        self._tell = tell
        self._once = once
        to_build = sorted(plan.to_build + plan.sealed)
        self._supply = Supply(capacity, plan.targets, to_build, jobs)
        self._schedule = Schedule(to_build, plan.targets.deps, expected, self._supply.limits)
        self._course = Course(len(plan.targets), jobs)
        self._nonce_root, self._nonce_count = os.urandom(8).hex(), 0
        self._delays = Delays(plan.targets)
        self._holders = Holders(plan, session, tell)
        self._unread = seen_by(plan)  # what the snapshot knows is not read again
        self._deadlines: dict[int, float] = {}
        self._interrupts = 0
        self._ending = False
        self._began = 0.0

    def run(self) -> report.ApplyFinished:
        """Build everything that can be built; return the totals."""
        self._began = time.monotonic()
        schedule, reused = self._schedule, reused_before(self._plan)
        self._tell(report.ApplyStarted(self._session.run, len(schedule.states), reused, self._jobs))
        for drifted in drifted_before(self._plan):
            self._tell(drifted)
        for decision in self._plan.of_kind(Kind.BLOCKED):
            target = self._plan.targets.all[decision.index]
            is_own = not isinstance(decision.reason, UpstreamBlocked)
            reason = describe(decision.reason) if is_own else ""
            self._tell(report.StepBlocked(target.name, target.id, "", reason))
        while not self._must_end() and (self._start_ready() or self._in_flight()):
            for answer in self._isolation.wait(self._patience()):
                self._settle(answer)
            self._kill_overdue()
            self._look_at_held()
            self._end_delays()
        if self._must_end():
            self._end_what_runs()
        finished = totals_of(
            self._plan,
            schedule,
            self._course,
            run=self._session.run,
            seconds=self._now(),
            was_interrupted=self._interrupts > 0,
        )
        self._tell(finished)
        return finished

    def interrupt(self) -> None:
        """Ask the run to end: what runs is asked to end too, and killed at the second time.

        Meant for signal handlers: it only counts and wakes, so that no instant is a bad one.
        """
        self._interrupts += 1
        self._isolation.wake()

    def _now(self) -> float:
        """Return the seconds since the run began."""
        return time.monotonic() - self._began

    def _has_failed_enough(self) -> bool:
        """Return whether so much failed that nothing more is started, or can be."""
        if self._isolation.is_spent:
            return True
        failed = self._schedule.count(State.FAILED) + self._schedule.count(State.STOPPED)
        return self._max_failures is not None and failed >= self._max_failures

    def _must_end(self) -> bool:
        """Return whether what runs is to be ended, too."""
        return self._interrupts > 0 or (self._fail_fast and self._has_failed_enough())

    def _start_ready(self) -> bool:
        """Start what is ready and finds a slot; return whether anything was started."""
        if self._has_failed_enough():
            return False
        started = False
        while self._schedule.count(State.RUNNING) < self._jobs:
            index = self._schedule.take()
            if index is None:
                break
            self._start(index)
            started = True
        return started

    def _start(self, index: int) -> None:
        target = self._plan.targets.all[index]
        self._nonce_count += 1
        nonce = f"{self._nonce_root}{self._nonce_count:x}"
        stale = self._holders.stale_version(index, time.monotonic())
        if target.step.timeout is not None:
            self._deadlines[index] = time.monotonic() + target.step.timeout
        short = self._schedule.was_short(index)
        at = self._course.start(index, self._plan.targets.deps[index], self._now(), short=short)
        after = "" if at.after is None else self._plan.targets.all[at.after].id
        self._tell(report.StepStarted(target.name, target.id, at.slot, after, at.queued))
        seen = self._unread.pop(index, None)
        force, over = index in self._session.forced, self._plan.snapshot.of(index).status_version
        gpus, refusal = self._supply.take_gpus(index), self._supply.refusals.get(index, "")
        self._isolation.start(Start(index, nonce, stale, seen, force, over, gpus, refusal))

    def _in_flight(self) -> bool:
        count = self._schedule.count
        waiting = 0 if self._has_failed_enough() else count(State.HELD) + count(State.DELAYED)
        return count(State.RUNNING) + waiting > 0

    def _patience(self) -> float | None:
        """Return the seconds to wait for an answer before something else is due."""
        due = list(self._deadlines.values())
        if self._schedule.count(State.HELD):
            due.append(self._holders.next_look)
        if (again := self._delays.next_due) is not None and not self._has_failed_enough():
            due.append(again)
        return max(0.0, min(due) - time.monotonic()) if due else None

    def _settle(self, answer: Ended) -> None:
        """Bring the answer of a worker into the schedule, and tell what follows."""
        index, outcome = answer.index, answer.outcome
        self._deadlines.pop(index, None)
        self._course.end(index, self._now())
        self._supply.give_back(index)
        target = self._plan.targets.all[index]
        name, id_ = target.name, target.id
        match outcome:
            case ended.Succeeded(attempt=attempt, seconds=seconds):
                state = State.SUCCEEDED
                self._course.took(index, seconds)
                self._tell(report.StepSucceeded(name, id_, attempt, seconds))
            case ended.Reused():
                state = State.REUSED
                self._tell(report.StepReused(name, id_))
            case ended.Failed():
                state = self._failed(index, outcome)
            case ended.Held(lease=lease, version=version):
                state = State.HELD
                self._holders.met(index, lease, version, time.monotonic())
            case ended.Stopped(message=message, hint=hint):
                state = State.STOPPED
                self._tell(report.StepStopped(name, id_, message, hint))
            case ended.Interrupted():
                state = State.INTERRUPTED
                self._tell(report.StepInterrupted(name, id_))
            case _:
                assert_never(outcome)
        for blocked, upstream in self._schedule.move(index, state):
            below = self._plan.targets.all[blocked]
            self._tell(
                report.StepBlocked(below.name, below.id, self._plan.targets.all[upstream].name)
            )

    def _failed(self, index: int, failure: ended.Failed) -> State:
        """Return the state after a failed attempt: another try, at once or later, or FAILED."""
        is_last = self._once or self._interrupts > 0 or self._ending or self._isolation.is_spent
        verdict = Verdict(0, None) if is_last else self._delays.failed(index, failure.cause)
        self._course.took(index, failure.seconds)
        target = self._plan.targets.all[index]
        self._tell(
            report.StepFailed(
                target.name,
                target.id,
                failure.attempt,
                failure.exit_code,
                failure.message,
                failure.log,
                failure.seconds,
                verdict.left,
                failure.hint,
                failure.cause,
                verdict.wait,
                failure.peak_memory,
            )
        )
        if verdict.wait is None:
            return State.FAILED
        if not verdict.wait:
            return State.READY
        self._delays.put(index, time.monotonic() + verdict.wait)
        return State.DELAYED

    def _kill_overdue(self) -> None:
        now = time.monotonic()
        for index, deadline in list(self._deadlines.items()):
            if now >= deadline:
                del self._deadlines[index]
                seconds = self._plan.targets.all[index].step.timeout
                self._isolation.terminate(index, kill=True, why=f"timed out after {seconds:g} s")

    def _look_at_held(self) -> None:
        """Let workers find out what became of what others finished or abandoned."""
        if not self._schedule.count(State.HELD):
            return
        held = self._schedule.in_state(State.HELD)
        for index in self._holders.freed(held, time.monotonic()):
            self._course.release(index, self._now())
            self._schedule.move(index, State.READY)

    def _end_delays(self) -> None:
        """Let those start again that have waited long enough since they failed."""
        for index in self._delays.pop(time.monotonic()):
            self._course.release(index, self._now())
            self._schedule.move(index, State.READY)

    def _end_what_runs(self) -> None:
        """Ask what runs to end; kill it after the grace period, or at one more interrupt."""
        running, heard = self._schedule.in_state(State.RUNNING), self._interrupts
        self._ending = True
        if heard:
            self._tell(report.Interrupting(len(running)))
        elif running:
            self._tell(report.FailingFast(len(running)))
        for index in running:
            self._isolation.terminate(index, kill=False, why=INTERRUPTED)
        if self._drain(GRACE, lambda: self._interrupts > bool(heard)):
            return
        for index in self._schedule.in_state(State.RUNNING):
            self._isolation.terminate(index, kill=True, why=INTERRUPTED)
        self._drain(GRACE_AFTER_KILL, lambda: False)

    def _drain(self, patience: float, give_up: Callable[[], bool]) -> bool:
        """Wait until nothing runs; return False if time ran out, or somebody gave up."""
        deadline = time.monotonic() + patience
        while self._schedule.count(State.RUNNING):
            left = deadline - time.monotonic()
            if left <= 0 or give_up():
                return False
            for answer in self._isolation.wait(left):
                self._settle(answer)
        return True
