"""What `apply` is to build, and on which terms; no process is started, and nothing is written."""

from __future__ import annotations

import os
import shlex
from contextlib import contextmanager
from dataclasses import field
from typing import TYPE_CHECKING, Any

from marin_build.errors import NotFoundError, UsageError
from marin_build.operations.building.keep_used import keep_used
from marin_build.operations.loading.loading import chosen_engine
from marin_build.operations.planning.plan import make_planned
from marin_build.plan.requested_outputs import requested_outputs
from marin_build.quick_dataclass import dataclass

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from marin_build.apply.events import ApplyFinished, StepDrifted, Warned
    from marin_build.engines.base import Engine
    from marin_build.operations.engine_jobs.queued_jobs import QueuedJobs
    from marin_build.operations.loading.config import OnDrift
    from marin_build.operations.loading.loading import Loaded
    from marin_build.operations.planning.planned import Planned, PlanRequest
    from marin_build.plan.capacity import Capacity
    from marin_build.plan.decisions import Plan
    from marin_build.plan.drifted_targets import DriftedTargets
    from marin_build.run_step.launch import Launch


@dataclass(frozen=True, slots=True)
class Terms:
    """How to handle failures, isolation, leases and the trace while a plan is built.

    Args:
        keep_going: after a failure, go on with steps that do not need the failed one.
        max_failures: go on after failures until there are this many.
        fail_fast: after the failure that ends the run, end the running steps, too.
        isolation: one of ISOLATIONS, or an engine that isolates; None: as configured.
        lease: whether the store must have conditional writes; without, no other run may build.
        trace: file to write a trace to when the run is over.
        once: a failed target is not tried again, whatever its step declares.
        keep: whether the plan and the journal of the run are kept under the prefix.
        launch: the gang that this process leads, for its one target; None: it leads none.
        on_drift: `fail`: build nothing if a reused target drifted; None: as configured.
        stream_logs: whether the lines that steps print are reported.

    """

    keep_going: bool = False
    max_failures: int | None = None
    fail_fast: bool = False
    isolation: str | None = None
    lease: bool = True
    trace: str | None = None
    once: bool = False
    keep: bool = True
    launch: Launch | None = None
    on_drift: OnDrift | None = None
    stream_logs: bool = False

    @property
    def stops_after(self) -> int | None:
        """The number of failures after which no more steps are started; None: there is no limit."""
        return self.max_failures or (None if self.keep_going else 1)

    def check(self) -> None:
        """Refuse terms that contradict each other.

        Raises:
            UsageError: `keep_going` and `fail_fast` do.

        """
        if self.keep_going and self.fail_fast and self.max_failures is None:
            raise UsageError(
                "`--keep-going` and `--fail-fast` contradict each other",
                consequence="nothing was run",
                hint="--fail-fast --max-failures N goes on until there are N failures",
            )


@dataclass(frozen=True, slots=True)
class ReadyToBuild:
    """A plan with all that the build loop needs to know.

    Args:
        planned: the plan, whose steps read adopted data where it lies.
        jobs: targets built at once.
        expected: target -> the seconds it may take; targets of unknown duration are missing.
        capacity: what this machine has for steps; None: only `jobs` limits the run.
        queued: what the queues of engines build; all else is built here.
        drifted: the reused targets that drifted.

    """

    planned: Planned
    jobs: int
    expected: Mapping[int, float] = field(default_factory=dict)
    capacity: Capacity | None = None
    queued: Sequence[QueuedJobs] = ()
    drifted: tuple[DriftedTargets, ...] = ()

    @property
    def plan(self) -> Plan:
        """What is built."""
        return self.planned.decided


def is_saved_plan(word: str) -> bool:
    """Return whether a word names a plan directory: one with a plan.json, or written as a path.

    A path begins with `/`, `./` or `../`, or ends with `/`: no target is called so. That plan.json
    may be missing or damaged, which reading it says.
    """
    is_path = word.startswith(("/", "./", "../")) or word.endswith("/")
    return is_path or any(
        os.path.lexists(os.path.join(word, name)) for name in ("plan.json", ".marin-build-next")
    )


@contextmanager
def folder_without_plan(targets: Sequence[str]) -> Iterator[None]:
    """Say of a word that is no target, but a folder, that it holds no plan."""
    try:
        yield
    except NotFoundError as error:
        if targets and os.path.isdir(targets[0]):
            from marin_build.operations.saved_plans.plan_directory import no_plan

            raise no_plan(targets[0]) from error
        raise


def plan_to_build(
    loaded: Loaded, request: PlanRequest, on_event: Callable[[Warned], None]
) -> Planned:
    """Make the plan to build on this machine, without reading earlier builds.

    Raises:
        UsageError: the engine is another one, or a selector selects nothing.
        StoreError: the store cannot be read, or a tombstone cannot be taken away.

    """
    refuse_other_engine(chosen_engine(loaded))
    while True:
        planned = make_planned(loaded, request, history=False, on_event=on_event)
        if keep_used(loaded.store, planned.decided):
            break
    if planned.is_done:
        let_go_of_temp(loaded, planned.decided, on_event)
    return planned


def let_go_of_temp(loaded: Loaded, plan: Plan, on_event: Callable[[Warned], None]) -> None:
    """Delete the outputs of steps with `temp=True` that are needed no more, if there are such."""
    if plan.targets.traits.temporary:
        from marin_build.operations.building.let_go import let_go

        let_go(loaded, plan, on_event)


def refuse_other_engine(engine: Engine[Any], *, is_saved: bool = False) -> None:
    """Refuse an engine that builds elsewhere: `apply` cannot submit to it yet.

    Raises:
        UsageError: the engine builds elsewhere.

    """
    if not engine.capabilities.applies:
        raise UsageError(
            f"cannot submit to `{engine.name}` yet",
            consequence="nothing was run",
            hint=(
                f"submit its files yourself: {shlex.join(engine.words_to_run('DIR'))}"
                if is_saved
                else f"marin-build plan --engine {engine.name} -o DIR, and submit its files"
            ),
        )


def drifted_without_run(planned: Planned) -> Sequence[StepDrifted]:
    """Return an event for each changed identity in a plan with nothing to do."""
    plan = planned.decided
    if not plan.snapshot.drifted:
        return ()
    from marin_build.apply.totals import drifted_before

    return list(drifted_before(plan))


def totals_without_run(planned: Planned) -> ApplyFinished:
    """Return the totals of a plan with nothing to do; their run id is empty, since nothing ran.

    Blocked targets are counted: no step builds them, or they must not be built again.
    """
    from marin_build.apply.events import ApplyFinished
    from marin_build.plan.decisions import Kind

    plan = planned.decided
    blocked = len(plan.of_kind(Kind.BLOCKED))
    outputs = requested_outputs(plan)
    return ApplyFinished(
        "",
        0,
        0,
        planned.reused,
        blocked,
        0,
        0,
        0,
        0.0,
        outputs=outputs.first,
        more_outputs=outputs.more,
        drifted=planned.drifted,
        waiting=plan.names_waiting,
    )


def prepare_build(
    planned: Planned, *, is_shown: bool = False, on_event: Callable[[Warned], None]
) -> ReadyToBuild:
    """Find out where adopted data lies, and how long steps may take.

    Args:
        planned: the plan to build.
        is_shown: whether a view shows how long it may still take.
        on_event: gets warnings for the pipeline's author.

    Raises:
        SpecificationError: loaded again for its adopted data, the pipeline declares other targets.
        StoreError: the store cannot be read.

    """
    from marin_build.operations.planning.budgets import capacity_if_limited
    from marin_build.operations.planning.estimate import expected_seconds

    settings = planned.loaded.settings
    jobs = planned.request.jobs or settings.jobs or os.cpu_count() or 1
    drifted = planned.drifted
    planned = planned.with_functions().with_adopted()
    for warning in planned.loaded.warnings():
        on_event(warning)
    queued: Sequence[QueuedJobs] = ()
    if planned.engine.capabilities.has_queue:
        from marin_build.operations.engine_jobs.queued_jobs import queued_jobs

        queued = queued_jobs(planned)
    said = {*settings.budgets, *planned.request.budgets}
    plan, engine = planned.decided, planned.engine
    steps = [plan.targets.all[index].step for index in plan.to_build]
    here = [step for step in steps if engine.is_here(step)]
    return ReadyToBuild(
        planned,
        jobs,
        expected_seconds(planned.loaded, plan, jobs, is_shown=is_shown),
        capacity_if_limited(here, planned.capacity, said),
        queued,
        drifted,
    )
