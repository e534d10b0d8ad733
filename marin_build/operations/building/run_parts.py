"""The parts of a run: what builds one plan, and the plan after it, where steps become known."""

from __future__ import annotations

import functools
import gc
from dataclasses import dataclass
from typing import TYPE_CHECKING

from marin_build.apply.devices import Queued
from marin_build.errors import MarinBuildError
from marin_build.operations.building.forget_taints import forget_taints
from marin_build.operations.building.isolation import check_isolation, make_isolation
from marin_build.operations.building.prepare_apply import let_go_of_temp
from marin_build.operations.building.run_session import make_session
from marin_build.operations.loading.adopted_data import refused_readers

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from marin_build.apply.applier import Applier
    from marin_build.apply.delivery import Delivery
    from marin_build.apply.events import ApplyFinished, Event
    from marin_build.apply.parts import Parts
    from marin_build.operations.building.prepare_apply import ReadyToBuild, Terms
    from marin_build.operations.engine_jobs.queued_jobs import QueuedJobs
    from marin_build.run_step.session import Session
    from marin_build.run_step.workers import Isolation


@dataclass(frozen=True, slots=True)
class Part:
    """A plan that is built: the whole run, but where steps are known only once others are built."""

    ready: ReadyToBuild
    session: Session
    runner: Isolation
    applier: Applier
    queued: Queued

    def build(self) -> ApplyFinished:
        """Build it; return its totals."""
        loaded, plan = self.ready.planned.loaded, self.ready.plan
        self.session.refused.update(refused_readers(loaded, plan))
        if self.ready.queued:
            from marin_build.operations.engine_jobs.queued_jobs import forget_marks, mark_forced

            for each in self.ready.queued:
                each.send_code(loaded)
            mark_forced(loaded, plan, self.queued.engines)
        finished = self.applier.run()
        if self.ready.queued:
            forget_marks(loaded, plan, self.queued.engines)
        forget_taints(loaded, plan)
        return finished

    def let_go_of_temp(self, on_event: Callable[[Event], None]) -> None:
        """Delete the outputs of temporary steps that nothing needs any more.

        Nothing is deleted while there are expansions whose steps are not known: these may need it.
        """
        plan = self.ready.plan
        if not plan.waiting and not self.applier.was_interrupted:
            let_go_of_temp(self.ready.planned.loaded, plan, on_event)


def begin_part(
    ready: ReadyToBuild,
    terms: Terms,
    on_event: Callable[[Event], None],
    *,
    argv: Sequence[str] | None,
    stops_after: int | None,
    run: str | None = None,
    delivery: Delivery | None = None,
) -> Part:
    """Make what builds a plan.

    Args:
        ready: the plan, and what the build loop needs to know of it.
        terms: how to handle isolation and leases.
        on_event: gets every event, one at a time.
        argv: the command line to name in records; None: that of this process.
        stops_after: the number of failures after which nothing more is started; None: no number.
        run: the id of the run that goes on; None: it begins.
        delivery: passes events on in the thread that builds the part.

    """
    from marin_build.apply.applier import Applier

    planned, loaded, plan = ready.planned, ready.planned.loaded, ready.plan
    queued = _queued(ready.queued)
    isolation = terms.isolation or loaded.settings.isolation
    check_isolation(plan, isolation, queued.engines)
    session = make_session(
        loaded,
        plan,
        planned.pinned_code,
        lease=terms.lease,
        argv=argv,
        launch=terms.launch,
        run=run,
    )
    gc.freeze()  # the graph lives until the end: collections need not walk it
    slots = min(ready.jobs, len(plan.to_build) + len(plan.sealed) - len(queued.engines)) or 1
    runner = make_isolation(session, isolation, slots)
    if ready.queued:
        from marin_build.apply.mixed_workers import MixedWorkers, one_at_a_time

        on_event = one_at_a_time(on_event)
        opened = [
            (each.jobs, functools.partial(each.workers, session, on_event)) for each in ready.queued
        ]
        runner = MixedWorkers(runner, opened)
    applier = Applier(
        plan,
        session,
        runner,
        jobs=ready.jobs,
        max_failures=stops_after,
        fail_fast=terms.fail_fast,
        expected=ready.expected,
        capacity=ready.capacity,
        queued=queued,
        once=terms.once,
        drifted=ready.drifted,
        report_every=loaded.settings.progress_every,
        stream_logs=terms.stream_logs,
        delivery=delivery,
        on_event=on_event,
    )
    return Part(ready, session, runner, applier, queued)


def next_plan(part: Part, parts: Parts, terms: Terms) -> ReadyToBuild | None:
    """Return what can be built now that a part of the run has ended; None: that is the end.

    Raises:
        MarinBuildError: an expansion gives no steps, or these cannot be planned; the totals of
            what was built were reported.

    """
    from marin_build.operations.building.further_parts import further_part

    parts.ended(part.ready.plan, part.applier.states)
    if not part.ready.plan.waiting or part.applier.was_interrupted:
        return None
    if failures_left(terms, parts) == 0:
        return None
    try:
        further = further_part(part.ready, parts.progress, parts, terms.on_drift)
    except MarinBuildError:
        parts.finish()
        raise
    if further is None:
        return None
    parts.begin(further.expanded)
    return further.ready


def failures_left(terms: Terms, parts: Parts) -> int | None:
    """Return after how many more failures the run ends; None: it goes on after any number."""
    limit = terms.stops_after
    return None if limit is None else max(0, limit - len(parts.progress.failed))


def _queued(queues: Sequence[QueuedJobs]) -> Queued:
    return Queued(
        {index: each.engine.name for each in queues for index in each.jobs},
        {each.engine.name: each.engine.max_jobs for each in queues},
    )
