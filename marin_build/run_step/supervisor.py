"""Build one target: acquire its lease, have its body run, and commit or end the attempt.

The supervisor stays alive when the body dies, whatever kills it, and ends the attempt for it.
"""

from __future__ import annotations

import errno
import os
import signal
import time
from typing import TYPE_CHECKING

from marin_build.errors import MarinBuildError, StoppedError, StoreAwayError
from marin_build.identity.code.digest import code_digest
from marin_build.plan import block_reasons as blocks
from marin_build.plan import outcomes as ended
from marin_build.plan.nearest_build import changes_between
from marin_build.plan.reason_text import describe
from marin_build.protocol import layout
from marin_build.protocol.acquire import Claimant
from marin_build.protocol.claim_outcomes import Finished, Foreign, Held
from marin_build.protocol.held_target import Holding
from marin_build.protocol.lease import TIME_TO_LIVE, Lease, boot_clock, process_start
from marin_build.protocol.quick_holding import QuickHolding
from marin_build.protocol.record_reader import readable_record
from marin_build.run_step.attempt import Attempt
from marin_build.run_step.end_attempt import end_attempt
from marin_build.run_step.patient_store import Patience, patiently
from marin_build.run_step.workers import INTERRUPTED, hear_interrupt
from marin_build.store.begun_folder import begin_folder
from marin_build.workspace.workspace import current_workspace

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager

    from marin_build.pipeline.retries import Cause
    from marin_build.protocol.foreign_data import ForeignData
    from marin_build.protocol.quick_holding import Beginning
    from marin_build.protocol.record_reader import Built
    from marin_build.run_step.body import Bodies, Done, Request
    from marin_build.run_step.session import Session
    from marin_build.run_step.workers import Start


def build_target(
    session: Session,
    start: Start,
    *,
    bodies: Bodies,
    slot: int,
    asked_to_end: Callable[[], str],
    tell: Callable[[str], None],
    bookkeeping: AbstractContextManager[object],
) -> ended.Outcome:
    """Build a target if it is not built.

    Args:
        session: the run.
        start: which target, with which nonce.
        bodies: runs the step to its end.
        slot: which of the supervisors asks.
        asked_to_end: INTERRUPTED, or why else this run ended the body; empty if it did not.
        tell: called with what a step that has returned still waits for.
        bookkeeping: held while the store is read and written, but not while the body runs.

    """
    held: Holding | None = None
    try:
        with bookkeeping, patiently(session.store, Patience(asked_to_end)):
            if (refused := refusal(session, start.index)) is not None:
                return refused
            got = _acquire(session, start, asked_to_end)
            if not isinstance(got, Holding):
                return _not_ours(session, start.index, got)
            held, attempt = got, Attempt(session, start.index, got)
            if isinstance(got, QuickHolding):
                session.announcer.watch(got, lambda: bodies.signal(start.index, signal.SIGKILL))
            if start.refusal:
                attempt.give_up(start.refusal)
                return ended.Stopped(start.refusal)
            if (stopped := attempt.checks.begin()) is not None:
                attempt.give_up(stopped.message)
                return stopped
            if (committed := attempt.commit_finished()) is not None:
                return committed
            spoiled = attempt.prepare(makes_log=bodies.makes_logs)
        done = spoiled or _runner(session, start.index, got, bodies, asked_to_end)(
            slot, attempt.request(start.gpus), tell
        )
        hear_interrupt(done.exit_code, asked_to_end)
        try:
            with bookkeeping, patiently(session.store, attempt.patience(asked_to_end)):
                return end_attempt(attempt, done, asked_to_end())
        finally:
            if attempt.is_long:
                bodies.release(start.index)
    except StoppedError as error:
        return ended.Stopped(error.what, error.hint or "")
    except MarinBuildError as error:
        # Our lease may be left behind. The next try finds it sealed and publishes the target, or
        # waits until the lease is stale, as with the lease of another run.
        if asked_to_end() == INTERRUPTED:
            return ended.Interrupted()
        cause: Cause = "infra" if isinstance(error, StoreAwayError) else "app"
        return ended.Failed(0, 1, error.with_reason, hint=error.hint or "", cause=cause)
    except OSError as error:
        return _disk_failed(session, error)
    finally:
        if held is not None:
            session.let_go(held)


def _not_ours(
    session: Session, index: int, got: Held | Finished | Foreign | ended.Outcome
) -> ended.Outcome:
    """Return the end of a target that we did not get."""
    if isinstance(got, Foreign):
        return _foreign_data(session, index, got.data)
    if isinstance(got, Finished):
        return finished_elsewhere(session, index, got)
    return ended.Held(got.lease, got.version) if isinstance(got, Held) else got


def _disk_failed(session: Session, error: OSError) -> ended.Failed:
    """Return the end of a target whose files could not be written: its log may lack the reason."""
    place = session.targets.workspace.prefix
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        what, hint = f"no space is left below `{place}`", "make space there, then apply again"
    else:
        named = f" (`{error.filename}`)" if error.filename else ""
        what, hint = f"cannot write below `{place}`: {error.strerror or error}{named}", ""
    return ended.Failed(0, 1, what, hint=hint)


def _acquire(
    session: Session, start: Start, asked_to_end: Callable[[], str]
) -> Holding | Held | Finished | Foreign | ended.Outcome:
    # The document of an attempt says in which job of an engine it ran: a start there takes longer.
    begin = begin_folder if not session.job else None
    claimant = claimant_of(session, start, may_clear=_may_clear(session, start), begin=begin)
    if session.launch is None:
        return claimant.acquire(start.seen)
    from marin_build.run_step.leader_lease import acquire_as_leader

    return acquire_as_leader(claimant, session.launch.name, start.seen, asked_to_end)


def _runner(
    session: Session,
    index: int,
    holding: Holding,
    bodies: Bodies,
    asked_to_end: Callable[[], str],
) -> Callable[[int, Request, Callable[[str], None]], Done]:
    """Return what runs the body of a target that we hold: here, or on the hosts of a gang."""
    if session.launch is None:
        return bodies.run
    from marin_build.run_step.leader import Leader

    return Leader(session, index, holding, bodies, asked_to_end).run


def refusal(session: Session, index: int) -> ended.Stopped | None:
    """Return why a target must not be built here, or None."""
    if (refused := session.refused.get(index)) is not None:
        return refused
    target = session.targets.all[index]
    pinned = session.pinned_code.get(target.id)
    if pinned is not None and code_digest(target.step.fn) != pinned:
        message = f"the code of `{target.name}` is not what the plan was made with"
        return ended.Stopped(message, hint="make the plan again")
    return None


def _may_clear(session: Session, start: Start) -> Callable[[ForeignData], bool] | None:
    """Return which foreign data a build may clear; None if it clears nothing."""
    if session.targets.all[start.index].step.keeps_output:
        return None
    agreed = session.overwrites.get(start.index)
    return lambda data: data.listing == agreed


def _foreign_data(session: Session, index: int, data: ForeignData) -> ended.Stopped:
    """Return the end of a target where data has come since the plan was made."""
    target = session.targets.all[index]
    found = blocks.ForeignData(target.name, data.files, data.size, data.paths, data.listing)
    return ended.Stopped(
        f"at the output path of `{target.id}` lies {describe(found)}",
        hint=f"nothing was deleted at `{target.output_path}`",
    )


def finished_elsewhere(session: Session, index: int, got: Finished) -> ended.Outcome:
    """Reuse what another run has built since the plan was made, if it is what was to be built.

    Under a version, or at an output path of its own, it may be another identity. A plan that finds
    that says so before anything is built from it; this plan could not.
    """
    target = session.targets.all[index]
    blob = session.store.get(f"{target.output_path}/{layout.RECORD}")
    built = readable_record(blob.data if blob is not None else None, target.fingerprint)
    if built is not None and built.fingerprint != target.fingerprint:
        changes = changes_between(built.hashed, target.step.payload)
        told = f" ({changes[0].text}{' and more' if len(changes) > 1 else ''})" if changes else ""
        message = f"another run has built a different target at `{target.output_path}` meanwhile"
        hint = "marin-build plan shows what it built; another version gives this one its own path"
        return ended.Stopped(f"{message}{told}", hint=hint)
    if built is not None:
        _refuse_readers_of_adopted(session, index, built)
    return ended.Reused(got.published)


def _refuse_readers_of_adopted(session: Session, index: int, built: Built) -> None:
    """Stop the steps that read a target which was adopted after the plan was made.

    The steps of this run know another place for its data.
    """
    target = session.targets.all[index]
    place = built.adopted_from
    known = current_workspace().adopted.get(target.id, target.output_path)
    if place not in (None, known):
        stopped = ended.Stopped(
            f"`{target.id}`, which it needs, was adopted meanwhile: its data lies at `{place}`",
            hint="apply again",
        )
        readers = [reader for reader, deps in enumerate(session.targets.deps) if index in deps]
        session.refused.update(dict.fromkeys(readers, stopped))


def claimant_of(
    session: Session,
    start: Start,
    *,
    may_clear: Callable[[ForeignData], bool] | None = None,
    begin: Callable[[str, str, bytes], Beginning | None] | None = None,
) -> Claimant:
    """Return the claimant of a target, which acquires it for a run.

    Args:
        session: the run.
        start: which target, with which nonce.
        may_clear, begin: see `Claimant`.

    """
    target, pid, now = session.targets.all[start.index], os.getpid(), time.time()
    return Claimant(
        session.store,
        target.output_path,
        target=target.id,
        lease=Lease(
            session.host.worker,
            now,
            run=session.run,
            nonce=start.nonce,
            boot=session.host.boot,
            pid=pid,
            start=_own_start(pid),
            since=round(now, 3),
            ttl=session.time_to_live if session.time_to_live != TIME_TO_LIVE else 0.0,
            job=session.job,
        ),
        is_abandoned=lambda lease: session.is_abandoned(start.index, lease),
        is_worked_on=lambda lease: session.is_worked_on(start.index, lease),
        clock=boot_clock,
        now=session.now(),
        force=start.force,
        forced_over=start.forced_over,
        stale_version=start.stale_version,
        may_clear=may_clear,
        locks=session.locks,
        begin=begin,
    )


_start_of_pid: tuple[int, int] = (0, 0)


def _own_start(pid: int) -> int:
    """Return when this process started, read once a process."""
    global _start_of_pid  # noqa: PLW0603 - a cache of one number that a fork makes stale
    if _start_of_pid[0] != pid:
        _start_of_pid = (pid, process_start(pid))
    return _start_of_pid[1]
