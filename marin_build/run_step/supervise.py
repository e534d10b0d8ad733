"""Build one target: acquire its lease, have its body run, and commit or end the attempt.

The supervisor stays alive when the body dies, whatever kills it, and ends the attempt for it.
"""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING

from marin_build.code import code_digest
from marin_build.commands import Command
from marin_build.errors import MarinBuildError, StoppedError
from marin_build.protocol import layout
from marin_build.protocol.documents import FileEntry, Publication, Record
from marin_build.protocol.holding import Finished, Held, Holding, acquire, stamp
from marin_build.protocol.lease import Lease, process_start
from marin_build.run_step import outcome as ended
from marin_build.run_step.bodies import Request
from marin_build.workspace import is_url

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager

    from marin_build.run_step.body import Done
    from marin_build.run_step.isolation import Start
    from marin_build.run_step.session import Session


INTERRUPTED = "interrupted"
TIMED_OUT = 124
"""Exit code of a body that ran too long, as coreutils' timeout has it."""


def build_target(
    session: Session,
    start: Start,
    *,
    run_body: Callable[[Request], Done],
    asked_to_end: Callable[[], str],
    bookkeeping: AbstractContextManager[object],
) -> ended.Outcome:
    """Build a target if it is not built.

    Args:
        session: the run.
        start: which target, with which nonce.
        run_body: runs the step to its end.
        asked_to_end: INTERRUPTED, or why else this run ended the body; empty if it did not.
        bookkeeping: held while the store is read and written, but not while the body runs.

    """
    try:
        with bookkeeping:
            if (refusal := _refusal(session, start.index)) is not None:
                return refusal
            got = _acquire(session, start)
        match got:
            case Finished(published=published):
                return ended.Reused(published)
            case Held(lease=holder, version=version):
                return ended.Held(holder, version)
            case Holding():
                return _attempt(session, start, got, run_body, asked_to_end, bookkeeping)
    except StoppedError as error:
        return ended.Stopped(error.what, error.hint or "")
    except MarinBuildError as error:
        return ended.Failed(0, 1, error.what, hint=error.hint or "")


def _refusal(session: Session, index: int) -> ended.Stopped | None:
    """Return why a target must not be built here, or None."""
    target = session.targets.all[index]
    pinned = session.pinned_code.get(target.id)
    if pinned is not None and code_digest(target.step.fn) != pinned:
        message = f"the code of `{target.name}` is not what the plan was made with"
        return ended.Stopped(message, hint="make the plan again")
    if is_url(target.output_path):
        message = f"cannot build at `{target.output_path}` from here"
        return ended.Stopped(message, hint="emit the plan for an engine with `plan -o`")
    return None


def _acquire(session: Session, start: Start) -> Holding | Held | Finished:
    target, pid = session.targets.all[start.index], os.getpid()
    lease = Lease(
        session.host.worker,
        time.time(),
        run=session.run,
        nonce=start.nonce,
        boot=session.host.boot,
        pid=pid,
        start=_own_start(pid),
    )
    return acquire(
        session.store,
        target.output_path,
        target=target.id,
        lease=lease,
        is_abandoned=lambda lease: session.is_abandoned(start.index, lease),
        now=session.now(),
        force=start.index in session.forced,
        stale_version=start.stale_version,
    )


_start_of_pid: tuple[int, int] = (0, 0)


def _own_start(pid: int) -> int:
    """Return when this process started, read once a process."""
    global _start_of_pid  # noqa: PLW0603 - a cache of one number that a fork makes stale
    if _start_of_pid[0] != pid:
        _start_of_pid = (pid, process_start(pid))
    return _start_of_pid[1]


def _attempt(
    session: Session,
    start: Start,
    holding: Holding,
    run_body: Callable[[Request], Done],
    asked_to_end: Callable[[], str],
    bookkeeping: AbstractContextManager[object],
) -> ended.Outcome:
    """Have the body run on a target we hold, and end the attempt."""
    target, attempt = session.targets.all[start.index], holding.attempt.attempt
    log = layout.log_path(target.output_path, attempt)
    began, started = time.monotonic(), session.now()
    done = run_body(Request(start.index, attempt, start.nonce, log))
    with bookkeeping:
        seconds, now = time.monotonic() - began, session.now()
        if done.exit_code or done.message:
            why = asked_to_end()
            interrupted = why == INTERRUPTED
            code, message = done.exit_code or 1, done.message
            if why and not interrupted:
                code, message = TIMED_OUT, why
            if not holding.fail("interrupted" if interrupted else "failed", code, message, now):
                return ended.Stopped(f"the lease on `{target.id}` was lost: {message}")
            if interrupted:
                return ended.Interrupted(attempt)
            return ended.Failed(attempt, code, message, log, seconds)
        record = _record(session, start.index, attempt, stamp(started), stamp(now), seconds, done)
        publication = Publication(
            record=record,
            has_artifact=done.artifact is not None,
            artifact=done.artifact,
            manifest=tuple(FileEntry(path=path, size=size) for path, size in done.manifest),
        )
        holding.commit(publication, now)
    return ended.Succeeded(attempt, seconds)


def _record(
    session: Session, index: int, attempt: int, start: str, end: str, seconds: float, done: Done
) -> Record:
    target = session.targets.all[index]
    step, fn = target.step, target.step.fn
    return Record(
        name=step.name,
        target=target.id,
        fn=function_name(fn),
        command=dict(fn.template) if isinstance(fn, Command) else None,
        attributes=dict(step.hash_attrs),
        fingerprint=target.fingerprint,
        deep_fingerprint=session.deep[index],
        payload=step.payload,
        code_digest=code_digest(fn) if fn is not None else None,
        deps=tuple(session.targets.all[dep].id for dep in session.targets.deps[index]),
        provenance=session.provenance,
        run=session.run,
        attempt=attempt,
        start=start,
        end=end,
        seconds=round(seconds, 6),
        exit_code=0,
        peak_memory_bytes=done.peak_memory,
    )


def function_name(fn: object) -> str | None:
    """Return the dotted name of what builds a step, for people."""
    if fn is None or isinstance(fn, Command):
        return None
    inner = getattr(fn, "function", fn)
    name = getattr(inner, "__qualname__", type(inner).__qualname__)
    return f"{getattr(inner, '__module__', '?')}.{name}"
