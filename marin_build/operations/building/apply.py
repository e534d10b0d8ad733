"""Builds a plan, and those that follow from it in the same run; chooses the exit code."""

from __future__ import annotations

import signal
import threading
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

from marin_build.errors import EXIT_INTERRUPTED, EXIT_OK, EXIT_STOPPED, EXIT_TARGET_FAILED
from marin_build.operations.building.run_parts import begin_part, failures_left, next_plan
from marin_build.operations.building.run_session import end_syncing, syncing_of
from marin_build.store.hurry import hurry

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from marin_build.apply.events import ApplyFinished, Event
    from marin_build.apply.parts import Parts
    from marin_build.operations.building.prepare_apply import ReadyToBuild, Terms
    from marin_build.operations.planning.planned import Planned
    from marin_build.plan.document import PlanDocument
    from marin_build.run_step.session import Session
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
    from marin_build.apply.delivery import Delivery
    from marin_build.apply.journal_writer import Journaling

    delivery = Delivery(on_event)
    journal = Journaling(delivery)
    parts: Parts | None = None
    if ready.plan.waiting and not ready.planned.folder:
        from marin_build.apply.parts import Parts

        parts = Parts(journal)
    part = begin_part(
        ready,
        terms,
        parts or journal,
        argv=argv,
        stops_after=terms.stops_after,
        delivery=delivery,
    )
    loaded, session = ready.planned.loaded, part.session

    def interrupt() -> None:
        part.applier.interrupt()
        hurry(session.store)

    before = hear_signals(interrupt)
    if on_start is not None:
        on_start(interrupt)
    syncing: Syncing | None = None
    running = ExitStack()
    running.callback(part.runner.close)
    try:
        syncing = syncing_of(loaded, session.run)
        kept = None
        if terms.keep and ready.plan.to_build:
            kept = _keep(ready.planned, session, on_event)
        if kept is not None or terms.trace is not None:
            journal.open(loaded.workspace.prefix, session, keep=kept is not None)
        finished = part.build()
        if parts is not None:
            while (further := next_plan(part, parts, terms)) is not None:
                running.close()  # what comes next has the slots to itself
                before_it = part
                part = begin_part(
                    further,
                    terms,
                    parts,
                    argv=argv,
                    stops_after=failures_left(terms, parts),
                    run=session.run,
                    delivery=delivery,
                )
                running.callback(part.runner.close)
                kept = _keep_grown(kept, further.planned, session, on_event)
                if before_it.applier.was_interrupted:  # while this one was planned
                    part.applier.interrupt()
                part.build()
            finished = parts.finish()
        part.let_go_of_temp(on_event)
        return finished
    finally:
        running.close()
        if terms.trace is not None:
            from marin_build.operations.building.trace import trace_file

            journal.finish()
            trace_file(journal.path, terms.trace, on_event)
        journal.close()
        end_syncing(syncing, on_event)
        for number, handler in before.items():
            signal.signal(number, handler)


def _keep(
    planned: Planned, session: Session, on_event: Callable[[Event], None]
) -> PlanDocument | None:
    """Write the folder of a run, with its plan; return that, if its journal can be kept there."""
    from marin_build.apply.run_folder import keep_run

    document = _document(planned)
    return document if keep_run(planned.loaded.store, document, session, on_event) else None


def _keep_grown(
    kept: PlanDocument | None, planned: Planned, session: Session, on_event: Callable[[Event], None]
) -> PlanDocument | None:
    """Write the plan of a run with the steps that are known now; return it. None: none is kept."""
    if kept is None:
        return None
    from marin_build.apply.run_folder import keep_plan

    grown = kept.grown_by(_document(planned))
    keep_plan(session.store, grown, session, on_event)
    return grown


def _document(planned: Planned) -> PlanDocument:
    from marin_build.plan.document_of_plan import plan_document

    loaded = planned.loaded
    return plan_document(
        planned.decided,
        pipeline=loaded.file,
        parameters=loaded.pipeline.parameters,
        engine=loaded.settings.engine,
        pin_code=True,
    )


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
