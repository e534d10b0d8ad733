"""Builds a plan: makes the session, the isolation and the applier; chooses the exit code."""

from __future__ import annotations

import functools
import gc
import signal
import threading
from typing import TYPE_CHECKING, Any

from marin_build.apply.devices import Queued
from marin_build.errors import (
    EXIT_INTERRUPTED,
    EXIT_OK,
    EXIT_STOPPED,
    EXIT_TARGET_FAILED,
    UsageError,
)
from marin_build.operations.adopted_data import refused_readers
from marin_build.operations.prepare_apply import ISOLATIONS, isolates
from marin_build.operations.run_session import end_syncing, make_session, syncing_of
from marin_build.operations.taint import forget_taints
from marin_build.plan.capacity import GPU, needs_of
from marin_build.store.hurry import hurry

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence

    from marin_build.apply.events import ApplyFinished, Event
    from marin_build.operations.planned import Planned
    from marin_build.operations.prepare_apply import ReadyToBuild, Terms
    from marin_build.operations.queued_jobs import QueuedJobs
    from marin_build.plan.decisions import Plan
    from marin_build.run_step.session import Session
    from marin_build.run_step.workers import Isolation
    from marin_build.store.durability import Syncing


def build(
    ready: ReadyToBuild,
    terms: Terms,
    on_event: Callable[[Event], None],
    *,
    argv: Sequence[str] | None = None,
    on_start: Callable[[Callable[[], None]], None] | None = None,
) -> ApplyFinished:
    """Build a plan from this machine; Ctrl-C, SIGTERM or a closed terminal end it in good order.

    Only the main thread can handle signals; elsewhere, call the function that `on_start` gets.

    Args:
        ready: the plan, and what the build loop needs to know of it.
        terms: how to handle failures, isolation, leases, the journal and the trace.
        on_event: called with every event, in the thread of the caller.
        argv: the command line to name in records; None: that of this process.
        on_start: called with a function that ends the run in good order; any thread may call it.

    """
    from marin_build.apply.applier import Applier
    from marin_build.apply.journal_writer import Journaling

    planned, loaded, plan = ready.planned, ready.planned.loaded, ready.plan
    session = make_session(
        loaded, plan, planned.pinned_code, lease=terms.lease, argv=argv, launch=terms.launch
    )
    gc.freeze()  # the graph lives until the end: collections need not walk it
    queued = _queued(ready.queued)
    slots = min(ready.jobs, len(plan.to_build) + len(plan.sealed) - len(queued.engines)) or 1
    isolation = terms.isolation or loaded.settings.isolation
    runner = make_isolation(session, plan, isolation, slots, queued.engines)
    journal = Journaling(on_event)
    if ready.queued:
        from marin_build.apply.mixed_workers import MixedWorkers

        opened = [
            (each.jobs, functools.partial(each.workers, session, journal)) for each in ready.queued
        ]
        runner = MixedWorkers(runner, opened)
    applier = Applier(
        plan,
        session,
        runner,
        jobs=ready.jobs,
        max_failures=terms.stops_after,
        fail_fast=terms.fail_fast,
        expected=ready.expected,
        capacity=ready.capacity,
        queued=queued,
        once=terms.once,
        drifted=ready.drifted,
        report_every=loaded.settings.progress_every,
        stream_logs=terms.stream_logs,
        on_event=journal,
    )

    def interrupt() -> None:
        applier.interrupt()
        hurry(session.store)

    before = hear_signals(interrupt)
    if on_start is not None:
        on_start(interrupt)
    syncing: Syncing | None = None
    try:
        syncing = syncing_of(loaded, session.run)
        session.refused.update(refused_readers(loaded, plan))
        keep = terms.keep and bool(plan.to_build) and _keep(planned, session, on_event)
        if keep or terms.trace is not None:
            journal.open(loaded.workspace.prefix, session, keep=keep)
        if ready.queued:
            from marin_build.operations.queued_jobs import forget_marks, mark_forced

            for each in ready.queued:
                each.send_code(loaded)
            mark_forced(loaded, plan, queued.engines)
        finished = applier.run()
        if ready.queued:
            forget_marks(loaded, plan, queued.engines)
        forget_taints(loaded, plan)
        return finished
    finally:
        runner.close()
        if terms.trace is not None:
            from marin_build.operations.trace import trace_file

            journal.finish()
            trace_file(journal.path, terms.trace, on_event)
        journal.close()
        end_syncing(syncing, on_event)
        for number, handler in before.items():
            signal.signal(number, handler)


def _queued(queues: Sequence[QueuedJobs]) -> Queued:
    return Queued(
        {index: each.engine.name for each in queues for index in each.jobs},
        {each.engine.name: each.engine.max_jobs for each in queues},
    )


def _keep(planned: Planned, session: Session, on_event: Callable[[Event], None]) -> bool:
    """Write the folder of a run, with its plan; return whether its journal can be kept there."""
    from marin_build.apply.run_folder import keep_run
    from marin_build.plan.document import plan_document

    loaded = planned.loaded
    document = plan_document(
        planned.decided,
        pipeline=loaded.file,
        parameters=loaded.pipeline.parameters,
        engine=loaded.settings.engine,
        pin_code=True,
    )
    return keep_run(loaded.store, document, session, on_event)


def hear_signals(interrupt: Callable[[], None]) -> dict[signal.Signals, Any]:
    """Make signals call a function; return the former handlers. In other threads do nothing."""
    if threading.current_thread() is not threading.main_thread():
        return {}
    signals = [signal.SIGINT, signal.SIGTERM]
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:  # as `nohup` sets it
        signals.append(signal.SIGHUP)
    before = {number: signal.signal(number, lambda *_: interrupt()) for number in signals}
    # None is a handler that is not Python's: it cannot be put back.
    return {number: handler for number, handler in before.items() if handler is not None}


def exit_code(finished: ApplyFinished) -> int:
    """Return the exit code of a run."""
    if finished.was_interrupted:
        return EXIT_INTERRUPTED
    if finished.failed or finished.blocked:
        return EXIT_TARGET_FAILED if finished.failed or not finished.stopped else EXIT_STOPPED
    return EXIT_STOPPED if finished.stopped else EXIT_OK


def make_isolation(
    session: Session, plan: Plan, name: str, jobs: int, elsewhere: Collection[int] = ()
) -> Isolation:
    """Return the isolation of that name, for all targets but those that are built elsewhere.

    Raises:
        UsageError: the name is unknown, a step of the plan cannot run in a thread, or this machine
            cannot run so many steps at once.

    """
    try:
        return _isolation(session, plan, name, jobs, elsewhere)
    except (OSError, RuntimeError) as error:  # no more descriptors, memory, processes or threads
        why = str(error.strerror if isinstance(error, OSError) else error)
        raise UsageError(
            f"cannot run {jobs} steps at once",
            facts=[("reason", why.lower())],
            consequence="nothing was run",
            hint="give a smaller -j, or raise the limits that `ulimit -a` shows",
        ) from error


def _isolation(
    session: Session, plan: Plan, name: str, jobs: int, elsewhere: Collection[int]
) -> Isolation:
    from marin_build.run_step.supervisor_pool import SupervisorPool

    if name in {"process", "worker"}:
        from marin_build.run_step.fork.bodies import ForkBodies

        return SupervisorPool(session, ForkBodies(session, jobs, reuse=name == "worker"), jobs)
    if name != "thread":
        raise _unknown_isolation(name)
    _check_threads(plan, elsewhere)
    from marin_build.run_step.thread_bodies import ThreadBodies

    return SupervisorPool(session, ThreadBodies(session), jobs)


def _unknown_isolation(name: str) -> UsageError:
    # On the command line such a name chooses the engine; a configuration names the engine itself.
    hint = f'it is an engine: engine = "{name}"' if isolates(name) else None
    known = ", ".join(ISOLATIONS)
    return UsageError(f"unknown isolation `{name}`", facts=[("known", known)], hint=hint)


def _check_threads(plan: Plan, elsewhere: Collection[int]) -> None:
    """Refuse steps that need a process of their own."""
    for index in plan.to_build:
        if index in elsewhere:
            continue
        step = plan.targets.all[index].step
        has_own = step.env_vars or step.timeout is not None
        if has_own or GPU in dict(needs_of(step)):
            what = "it has env_vars or a timeout" if has_own else "it gets GPUs of its own"
            raise UsageError(
                f"`{step.name}` cannot run in a thread: {what}",
                consequence="nothing was run",
                hint="leave out --isolation thread",
            )
