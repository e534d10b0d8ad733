"""One replay of one plan: its first events, the build loop over its targets, its totals."""

from __future__ import annotations

from contextlib import nullcontext
from typing import TYPE_CHECKING

from marin_build.apply.books import Books
from marin_build.apply.build_loop import GRACE_AFTER_KILL, GRACE_OF_GANG, BuildLoop
from marin_build.apply.devices import NOTHING_QUEUED, Devices
from marin_build.apply.events import ApplyFinished, ApplyStarted, StillRunning, Warned
from marin_build.apply.plan_requests import PlanRequests
from marin_build.apply.totals import blocked_before, drifted_before, reused_before, totals_of
from marin_build.plan.schedule import Open, Schedule
from marin_build.run_step.patient_store import PatientStore

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from marin_build.apply.delivery import Delivery
    from marin_build.apply.devices import Queued
    from marin_build.apply.events import Event
    from marin_build.apply.printed_lines import PrintedLines
    from marin_build.plan.capacity import Capacity
    from marin_build.plan.decisions import Plan
    from marin_build.plan.drifted_targets import DriftedTargets
    from marin_build.plan.schedule import State
    from marin_build.run_step.session import Session
    from marin_build.run_step.workers import Isolation


class Applier:
    """One replay of one plan. If it is killed, another one on any machine can go on.

    Args:
        plan: what to build.
        session: what its targets share.
        isolation: builds them.
        jobs: how many at once.
        max_failures: after so many failures nothing more is started; None: go on to the end.
        fail_fast: then end the running steps, too.
        expected: target -> the seconds it may take; targets of unknown duration are missing.
        capacity: what this machine has for steps; None: only `jobs` limits the run.
        queued: the targets that queues of engines build.
        once: a failed target is not tried again, whatever its step declares.
        drifted: the reused targets that drifted; the totals name them.
        report_every: seconds between two reports that steps still run; 0: none are made.
        stream_logs: whether the lines that steps print are reported.
        delivery: passes events on in the thread of `run`; None: all is done when `on_event` is.
        on_event: called with every event, one at a time, by the thread in which it happened.

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
        queued: Queued = NOTHING_QUEUED,
        once: bool = False,
        drifted: tuple[DriftedTargets, ...] = (),
        report_every: float = 0.0,
        stream_logs: bool = False,
        delivery: Delivery | None = None,
        on_event: Callable[[Event], None],
    ) -> None:
        self._plan = plan
        self._run, self._store = session.run, session.store
        self._jobs = jobs
        self._drifted = drifted
        self._printed: PrintedLines | None = None
        if stream_logs:
            from marin_build.apply.printed_lines import PrintedLines

            outputs = {it.id: it.output_path for it in plan.targets.all}
            self._printed = PrintedLines(session.run, outputs, session.store, on_event)
            on_event = self._printed
        self._on_event = on_event
        self._delivery, self._wake = delivery, isolation.wake
        self._report_every, self._report_at = report_every, 0.0
        to_build = sorted((*plan.to_build, *plan.sealed))
        devices = Devices(capacity, plan.targets, to_build, jobs, queued)
        jobs += min(len(queued.engines), sum(queued.most.values()))
        self._schedule = Schedule(to_build, plan.targets.deps, expected, devices.limits)
        books = Books(
            plan.targets.all,
            self._schedule,
            isolation,
            PlanRequests(plan, session, devices, on_event, isolation.wake, queued.engines),
            jobs=jobs,
            max_failures=max_failures,
            fail_fast=fail_fast,
            once=once,
            on_event=on_event,
        )
        self._loop = BuildLoop(
            books,
            isolation,
            tend=self._look_around,
            deliver=delivery.deliver if delivery is not None else lambda _now: None,
            grace_after_kill=GRACE_AFTER_KILL if session.launch is None else GRACE_OF_GANG,
        )

    def run(self) -> ApplyFinished:
        """Build everything that can be built; return the totals, which are reported in any case."""
        with self._delivery.awaited(self._wake) if self._delivery is not None else nullcontext():
            self._say_what_is_known()
            try:
                self._loop.run()
            finally:
                self._tell_news()
                finished = self._totals()
                self._on_event(finished)
        return finished

    @property
    def states(self) -> Mapping[int, State]:
        """The state of each target that was to be built."""
        return self._schedule.states

    @property
    def was_interrupted(self) -> bool:
        """Whether the run was asked to end."""
        return self._loop.was_interrupted

    def _totals(self) -> ApplyFinished:
        return totals_of(
            self._plan,
            self._schedule,
            self._loop.timeline,
            run=self._run,
            seconds=self._loop.seconds,
            was_interrupted=self._loop.was_interrupted,
            drifted=self._drifted,
        )

    def _look_around(self, now: float) -> float | None:
        """Report what is due; return when the next report is, None: none will be."""
        self._tell_news()
        due = []
        if self._report_every:
            if now >= self._report_at:
                self._report_at = now + self._report_every
                if running := self._schedule.count(Open.RUNNING):
                    self._on_event(StillRunning(running, self._loop.seconds))
            due.append(self._report_at)
        if self._printed is not None:
            due.append(self._printed.look(now))
        return min(due, default=None)

    def _tell_news(self) -> None:
        """Say when the store gives no answer, and when it answers again."""
        if isinstance(self._store, PatientStore):
            for news in self._store.news():
                self._on_event(Warned(news.message, news.hint))

    def interrupt(self) -> None:
        """Ask the run to end, from a signal handler, too; the second time kills what runs."""
        self._loop.interrupt()

    def _say_what_is_known(self) -> None:
        """Report how many targets are to be built, and the drifted and blocked ones of the plan."""
        count, reused = len(self._schedule.states), reused_before(self._plan)
        self._on_event(ApplyStarted(self._run, count, reused, self._jobs))
        for drifted in drifted_before(self._plan):
            self._on_event(drifted)
        for blocked in blocked_before(self._plan):
            self._on_event(blocked)
