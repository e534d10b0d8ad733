"""StepRunner: run steps from inside a program, each as soon as what it needs is built."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from contextvars import copy_context
from typing import TYPE_CHECKING

from marin_build.apply.books import Books
from marin_build.apply.build_loop import BuildLoop
from marin_build.apply.events import StepEnded
from marin_build.errors import PreviousTaskFailedError, SpecificationError, StepFailedError
from marin_build.pipeline.caught_run import offer_steps
from marin_build.pipeline.step_spec import StepSpec
from marin_build.plan.outcomes import Blocked, Failed, Stopped
from marin_build.plan.schedule import Schedule
from marin_build.run_step.workers import Start
from marin_build.runtime.admission import Admission
from marin_build.runtime.disk_cache import seen_unbuilt
from marin_build.runtime.in_process_workers import InProcessWorkers, shown
from marin_build.runtime.status_file import check_cache
from marin_build.workspace.workspace import common_prefix, current_workspace

if TYPE_CHECKING:
    from collections.abc import Iterator
    from contextvars import Context

    from marin_build.apply.events import Event
    from marin_build.errors import MarinBuildError
    from marin_build.pipeline.targets import Target
    from marin_build.plan.outcomes import Held
    from marin_build.runtime.admission import Admitted


__all__ = ["StepRunner", "check_cache", "run_step"]

_AT_ONCE = 8
_log = logging.getLogger("marin_build.step_runner")
_log.addHandler(logging.NullHandler())  # silent unless the program sets up logging


class StepRunner:
    """Runs steps, and all that they need, in threads of this program."""

    def run(
        self,
        steps: Iterable[StepSpec],
        *,
        dry_run: bool = False,
        force_run_failed: bool = True,
        max_concurrent: int | None = None,
    ) -> None:
        """Build the steps that are not built; return when nothing is left to do.

        While a pipeline's file is loaded nothing is run: its steps are those of the pipeline.

        A step is started as soon as it is taken from `steps` and what it needs is built: `steps`
        may be a generator that makes the next step from the output of the last one. Their order
        is free. What they need is found through `deps`; below a built step nothing is looked at.
        After a failure everything that does not need the failed step goes on. Each step sees the
        context variables of the caller as they were when it was taken, the current client too.

        Args:
            steps: the steps that are wanted.
            dry_run: log what would be built; nothing is run or written.
            force_run_failed: whether targets that failed before are tried again.
            max_concurrent: steps that run at once; default 8.

        Raises:
            StepFailedError: `N step(s) failed`, with what is blocked by them; its cause is a
                StepFailedError `Step failed: NAME`, and the cause of that is the exception of the
                first failure. It is a PreviousTaskFailedError if all failures are.
            SpecificationError: an illegal argument, steps that contradict each other, or a step
                that nothing builds and that is not there; a ValueError.
            StoreError: a status cannot be read.

        """
        at_once = _AT_ONCE if max_concurrent is None else max_concurrent
        if type(at_once) is not int or at_once < 1:
            raise SpecificationError(
                f"`max_concurrent` must be a whole number, at least 1, not `{max_concurrent!r}`",
                consequence="nothing was run",
            )
        if isinstance(steps, StepSpec):
            raise SpecificationError("`steps` is one step, not several", hint="run([step])")
        offer_steps(steps)
        admission = Admission(
            current_workspace(), common_prefix(), force_run_failed=force_run_failed
        )
        run = _Run(admission, 1 if dry_run else at_once, dry_run=dry_run)
        with closing(run.workers), ThreadPoolExecutor(1, "build-loop") as driver:
            ended = driver.submit(run.loop.run)
            try:
                for batch in _batches(steps):
                    run.admit(batch)
                run.loop.close()
                ended.result()
            except BaseException:
                run.loop.stop()
                raise
        run.raise_failures()


def run_step(step: StepSpec) -> None:
    """Build one step here, unless it is built; what it needs must be there.

    Raises:
        Exception: what the step raised, itself.
        StepFailedError: it failed, or nothing builds it.
        LeaseLostError: another program took its lease over while it ran.

    """
    step.executable_fn(step.output_path)


def _batches(steps: Iterable[StepSpec]) -> Iterator[Sequence[StepSpec]]:
    """Yield a sequence as one batch, whose statuses are read together; else step by step."""
    if isinstance(steps, Sequence):
        yield steps
        return
    for step in steps:
        yield [step]


class _Run:
    """The steps of one call: admitted by its thread, built by the loop of another one."""

    def __init__(self, admission: Admission, at_once: int, *, dry_run: bool) -> None:
        self._admission = admission
        self._dry_run = dry_run
        self._problems: dict[int, MarinBuildError] = {}
        self._begun: set[int] = set()
        self._contexts: dict[int, Context] = {}
        self._schedule = Schedule()
        self.workers = InProcessWorkers(at_once, self._build)
        books = Books(
            admission.targets,
            self._schedule,
            self.workers,
            _PlainRequests(admission.targets),
            jobs=at_once,
            on_event=_log_event,
        )
        self.loop = BuildLoop(books, self.workers, is_open=True)

    def admit(self, steps: Sequence[StepSpec]) -> None:
        """Have steps built, and what they need.

        Raises:
            SpecificationError: they contradict others, or one of them cannot be built.
            StoreError: a status cannot be read.

        """
        is_first = not self._contexts
        admitted = self._admission.admit(steps)
        for index, words in self._admission.drifted.items():
            _log.warning("%s is reused, though %s", self._admission.targets[index].id, words)
        self._admission.drifted.clear()
        if not self._dry_run:
            for one in admitted:
                self._refuse_unbuildable(one, is_first=is_first)
        for one in admitted:
            if one.problem is not None:
                self._problems[one.index] = one.problem
            self._contexts[one.index] = copy_context()
            self.loop.add(one.index, one.needs)

    def _refuse_unbuildable(self, one: Admitted, *, is_first: bool) -> None:
        step = self._admission.targets[one.index].step
        if step.fn is None and one.problem is None:
            raise SpecificationError(
                f"nothing builds `{step.name}`, and its output is not there",
                facts=[("declared", step.place)],
                consequence="nothing was run" if is_first else None,
                hint="give it a function, or put its output there",
            )

    def raise_failures(self) -> None:
        """Raise an error that names all failed and blocked targets, if any failed."""
        errors, targets = self.workers.errors, self._admission.targets
        if not errors:
            return
        causes = list(errors.values())
        before = all(isinstance(cause, PreviousTaskFailedError) for cause in causes)
        kind = PreviousTaskFailedError if before else StepFailedError
        facts = [
            *((targets[index].id, shown(error)) for index, error in errors.items()),
            *(
                (targets[index].id, f"blocked by {targets[self._blocker_of(index)].id}")
                for index in self._schedule.in_state(Blocked)
            ),
        ]
        failed = StepFailedError(f"Step failed: {targets[next(iter(errors))].id}")
        failed.__cause__ = causes[0]
        when = " previously" if before else ""
        raise kind(f"{len(errors)} step(s) failed{when}", facts=facts) from failed

    def _blocker_of(self, index: int) -> int:
        states = self._schedule.states
        needs = self._schedule.needs_of(index)
        return next(dep for dep in needs if states[dep] in (Failed, Stopped, Blocked))

    def _build(self, index: int) -> None:
        """Build a target, in a thread of the workers and in the context of who asked for it."""
        self._contexts[index].copy().run(self._build_here, index)

    def _build_here(self, index: int) -> None:
        if (problem := self._problems.get(index)) is not None:
            raise problem
        target = self._admission.targets[index]
        if self._dry_run:
            _log.info("would build %s at %s", target.id, target.output_path)
            return
        if index not in self._begun:
            self._begun.add(index)
            _log.info("building %s at %s", target.id, target.output_path)
        with seen_unbuilt(target.output_path):
            target.step.executable_fn(target.output_path)


class _PlainRequests:
    """Requests that hold the index of a target alone: `executable_fn` does the rest."""

    next_look = 0.0

    def __init__(self, targets: Sequence[Target]) -> None:
        self._targets = targets

    def start(self, index: int, now: float) -> Start:  # noqa: ARG002 - no lease is watched
        """Return the request to build a target."""
        return Start(index, "", timeout=self._targets[index].step.timeout)

    def ended(self, index: int) -> None:
        """Do nothing: `start` reserved nothing for the target."""

    def held(self, index: int, by: Held, now: float) -> None:
        """Refuse: a call waits itself for the lease of another run, so no worker reports one."""
        raise AssertionError(index, by, now)

    def freed(self, held: Iterable[int], now: float) -> list[int]:  # noqa: ARG002 - there are none
        """Return nothing: no target is held."""
        return []


def _log_event(event: Event) -> None:
    if not isinstance(event, StepEnded):
        return
    match event.outcome:
        case Failed(message=message, retry_in=None) | Stopped(message=message):
            _log.error("%s failed: %s", event.target, message)
        case Failed(message=message, retry_in=wait):
            said = f"trying again in {wait:.1f} s" if wait else "trying again"
            _log.warning("%s failed: %s; %s", event.target, message, said)
        case _:
            pass
