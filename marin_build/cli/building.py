"""From a plan to what builds it: session, isolation, applier; and the exit code."""

from __future__ import annotations

import gc
import os
import signal
import sys
from contextlib import suppress
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from marin_build.cli.adopted import refused_readers
from marin_build.cli.local_prefix import check_writable, end_syncing, syncing_of
from marin_build.code.deep import digests_of_run
from marin_build.environment import read_here
from marin_build.errors import (
    EXIT_INTERRUPTED,
    EXIT_OK,
    EXIT_STOPPED,
    EXIT_TARGET_FAILED,
    StoreError,
    UsageError,
)
from marin_build.needs import GPU, needs_of
from marin_build.provenance import provenance
from marin_build.redaction import Redactor
from marin_build.store.mounts import is_shared, probe_locks
from marin_build.workspace import is_url

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from marin_build.apply.events import ApplyFinished, Event
    from marin_build.capacity import Capacity
    from marin_build.cli.loading import Loaded
    from marin_build.plan import Plan
    from marin_build.run_step.isolation import Isolation
    from marin_build.run_step.session import Session
    from marin_build.store.base import Store
    from marin_build.store.syncing import Syncing

ISOLATIONS = ("process", "worker", "thread")


def replay(
    loaded: Loaded,
    plan: Plan,
    pinned_code: Mapping[str, str],
    *,
    jobs: int,
    keep_going: bool,
    isolation: str,
    tell: Callable[[Event], None],
    lease: bool = True,
    keep: bool = False,
    max_failures: int | None = None,
    fail_fast: bool = False,
    expected: Mapping[int, float] | None = None,
    trace: str | None = None,
    capacity: Capacity | None = None,
    once: bool = False,
) -> ApplyFinished:
    """Replay a plan on this machine; Ctrl-C, SIGTERM or a closed terminal end it in good order.

    Args:
        loaded: the pipeline and its store.
        plan: what to build.
        pinned_code: target id -> code digest, for a saved plan.
        jobs: targets built at once.
        keep_going: after a failure go on with what does not need it.
        isolation: one of ISOLATIONS.
        tell: is told every event.
        lease: whether the store must have conditional writes; without, nobody else may build.
        keep: whether the plan and the journal of the run are kept under the prefix.
        max_failures: go on after a failure, too, until there are so many.
        fail_fast: after the failure that ends the run end what runs, too.
        expected: seconds that targets may take, of those of which that is known.
        trace: file to write a trace to when it is over.
        capacity: what this machine has for them; None: only `jobs` limits.
        once: a failed target is not tried again, whatever its step declares.

    """
    from marin_build.apply.applier import Applier
    from marin_build.cli.journaling import Journaling

    session = make_session(loaded, plan, pinned_code, lease=lease)
    gc.freeze()  # the graph lives until the end: collections need not walk it
    slots = min(jobs, len(plan.to_build) + len(plan.sealed)) or 1
    runner = make_isolation(session, plan, isolation, slots)
    journal = Journaling(tell)
    applier = Applier(
        plan,
        session,
        runner,
        jobs=jobs,
        max_failures=max_failures or (None if keep_going else 1),
        fail_fast=fail_fast,
        expected=expected,
        capacity=capacity,
        once=once,
        tell=journal,
    )
    signals = [signal.SIGINT, signal.SIGTERM]
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:  # as `nohup` sets it
        signals.append(signal.SIGHUP)
    before = {number: signal.signal(number, lambda *_: applier.interrupt()) for number in signals}
    syncing: Syncing | None = None
    try:
        syncing = syncing_of(loaded, session.run)
        session.refused.update(refused_readers(loaded, plan))
        if keep:
            from marin_build.cli.runs import keep_run

            keep = keep_run(loaded, plan, session)
        if keep or trace is not None:
            journal.open(loaded.workspace.prefix, session, keep=keep)
        finished = applier.run()
        forget_taints(loaded, plan)
        return finished
    finally:
        runner.close()
        if trace is not None:
            from marin_build.cli.tracing import trace_file

            journal.finish()
            trace_file(journal.path, trace)
        journal.close()
        end_syncing(syncing)
        for number, handler in before.items():
            signal.signal(number, handler)


def forget_taints(loaded: Loaded, plan: Plan) -> None:
    """Take away the marks of what was rebuilt: they mean nothing any more, but are read."""
    if not plan.snapshot.tainted:
        return
    from marin_build.taints import forget_taints, read_taints

    with suppress(StoreError):
        still = read_taints(loaded.store, plan.targets, plan.snapshot.tainted)
        forget_taints(loaded.store, plan.targets, plan.snapshot.tainted.keys() - still.keys())


def exit_code(finished: ApplyFinished) -> int:
    """Return the exit code of a run."""
    if finished.was_interrupted:
        return EXIT_INTERRUPTED
    if finished.failed or finished.blocked:
        return EXIT_TARGET_FAILED if finished.failed or not finished.stopped else EXIT_STOPPED
    return EXIT_STOPPED if finished.stopped else EXIT_OK


def make_session(
    loaded: Loaded, plan: Plan, pinned_code: Mapping[str, str], *, lease: bool
) -> Session:
    """Return the session of a run, after checking that the prefix can be written."""
    from marin_build.run_step.session import Session

    check_writable(loaded.workspace.prefix)
    seen = plan.snapshot.seen
    recorded = {i: it.built.deep_code_digest for i, it in seen.items() if it.built is not None}
    # Read now: of the code as it was loaded, whatever is edited while it runs.
    deep_code = digests_of_run(plan.targets, plan.to_build, recorded)
    return Session(
        store=_leasing(loaded, lease=lease),
        targets=plan.targets,
        deep=_deep_fingerprints(plan),
        run=f"r-{os.urandom(4).hex()}",
        host=loaded.host,
        provenance=provenance(loaded.workspace.project, ("marin-build", *sys.argv[1:])),
        now=lambda: datetime.now(UTC),
        forced=plan.insisted,
        pinned_code=pinned_code,
        time_to_live=float(loaded.settings.lease),
        deep_code=deep_code,
        here=read_here(loaded.workspace.project, os.environ),
        redactor=Redactor.of(os.environ),
        log_limit=loaded.settings.log_limit << 20,
    )


def _deep_fingerprints(plan: Plan) -> list[str]:
    if not plan.snapshot.drifted:
        return plan.targets.deep_fingerprints()
    from marin_build.other_identities import deep_of_run

    return deep_of_run(plan)


def make_isolation(session: Session, plan: Plan, name: str, jobs: int) -> Isolation:
    """Return the isolation of that name.

    Raises:
        UsageError: unknown, or threads for steps that need a process of their own, or more at once
            than this machine can bear.

    """
    try:
        return _isolation(session, plan, name, jobs)
    except (OSError, RuntimeError) as error:  # no more descriptors, memory, processes or threads
        why = str(error.strerror if isinstance(error, OSError) else error)
        raise UsageError(
            f"cannot run {jobs} steps at once",
            facts=[("reason", why.lower())],
            consequence="nothing was run",
            hint="give a smaller -j, or raise the limits that `ulimit -a` shows",
        ) from error


def _isolation(session: Session, plan: Plan, name: str, jobs: int) -> Isolation:
    from marin_build.run_step.pool import SupervisorPool

    if name in {"process", "worker"}:
        from marin_build.run_step.in_fork import ForkBodies

        return SupervisorPool(session, ForkBodies(session, jobs, reuse=name == "worker"), jobs)
    if name != "thread":
        raise UsageError(f"unknown isolation `{name}`", facts=[("known", ", ".join(ISOLATIONS))])
    _check_threads(plan)
    from marin_build.run_step.in_thread import ThreadBodies

    return SupervisorPool(session, ThreadBodies(session), jobs)


def _check_threads(plan: Plan) -> None:
    """Refuse steps that need a process of their own."""
    for index in plan.to_build:
        step = plan.targets.all[index].step
        has_own = step.env_vars or step.timeout is not None
        if has_own or GPU in dict(needs_of(step)):
            what = "it has env_vars or a timeout" if has_own else "it gets GPUs of its own"
            raise UsageError(
                f"`{step.name}` cannot run in a thread: {what}",
                consequence="nothing was run",
                hint="leave out --isolation thread",
            )


def _leasing(loaded: Loaded, *, lease: bool) -> Store:
    """Return the store for leases.

    Raises:
        StoreError: it has no conditional writes, and leases were not waived.

    """
    if not lease:
        from marin_build.store.unfenced import UnfencedStore

        return UnfencedStore(loaded.store)
    if not loaded.store.conditional:
        raise StoreError(
            f"no lease holds at `{loaded.workspace.prefix}`: no conditional writes there",
            consequence="nothing was run",
            hint="if nobody else builds there, say `--no-lease`",
        )
    prefix = loaded.workspace.prefix
    if not is_url(prefix) and is_shared(prefix):
        probe_locks(prefix)
    return loaded.store
