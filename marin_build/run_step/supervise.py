"""Build one target: acquire its lease, have its body run, and commit or end the attempt.

The supervisor stays alive when the body dies, whatever kills it, and ends the attempt for it.
"""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from marin_build.code import code_digest
from marin_build.commands import Command
from marin_build.errors import MarinBuildError, StoppedError
from marin_build.protocol import layout
from marin_build.protocol.acquiring import Claimant, Finished, Held
from marin_build.protocol.documents import FileEntry, Publication, Record
from marin_build.protocol.holding import Holding, stamp
from marin_build.protocol.lease import TIME_TO_LIVE, Lease, boot_clock, process_start
from marin_build.remote_callable import local_function
from marin_build.run_step import outcome as ended
from marin_build.run_step.bodies import Bodies, Request
from marin_build.run_step.body import Done
from marin_build.run_step.outputs import (
    clear_leftovers,
    has_foreign,
    manifest_of,
    missing_output,
)
from marin_build.workspace import is_url

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager
    from datetime import datetime

    from marin_build.run_step.isolation import Start
    from marin_build.run_step.session import Session


INTERRUPTED = "interrupted"
_NO_FILES: tuple[FileEntry, ...] = ()
TIMED_OUT = 124
"""Exit code of a body that ran too long, as coreutils' timeout has it."""


def build_target(
    session: Session,
    start: Start,
    *,
    bodies: Bodies,
    slot: int,
    asked_to_end: Callable[[], str],
    bookkeeping: AbstractContextManager[object],
) -> ended.Outcome:
    """Build a target if it is not built.

    Args:
        session: the run.
        start: which target, with which nonce.
        bodies: runs the step to its end.
        slot: which of the supervisors asks.
        asked_to_end: INTERRUPTED, or why else this run ended the body; empty if it did not.
        bookkeeping: held while the store is read and written, but not while the body runs.

    """
    try:
        with bookkeeping:
            if (refusal := _refusal(session, start.index)) is not None:
                return refusal
            got = _claimant(session, start).acquire(start.seen)
        match got:
            case Finished(published=published):
                return ended.Reused(published)
            case Held(lease=holder, version=version):
                return ended.Held(holder, version)
            case Holding():
                attempt = _Attempt(session, start, got, bodies, slot, asked_to_end, bookkeeping)
                return attempt.run()
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
    return None


def _claimant(session: Session, start: Start) -> Claimant:
    target, pid = session.targets.all[start.index], os.getpid()
    return Claimant(
        session.store,
        target.output_path,
        target=target.id,
        lease=Lease(
            session.host.worker,
            time.time(),
            run=session.run,
            nonce=start.nonce,
            boot=session.host.boot,
            pid=pid,
            start=_own_start(pid),
            ttl=session.time_to_live if session.time_to_live != TIME_TO_LIVE else 0.0,
        ),
        is_abandoned=lambda lease: session.is_abandoned(start.index, lease),
        clock=boot_clock,
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


@dataclass(slots=True)
class _Attempt:
    """One attempt at a target we hold, from the first look at its output to its end."""

    session: Session
    start: Start
    holding: Holding
    bodies: Bodies
    slot: int
    asked_to_end: Callable[[], str]
    bookkeeping: AbstractContextManager[object]

    def run(self) -> ended.Outcome:
        """Have the body run, verify what it left, and end the attempt."""
        session, index = self.session, self.start.index
        log = session.log_path(index, self.holding.lease)
        began, started = time.monotonic(), session.now()
        try:
            os.makedirs(os.path.dirname(log), exist_ok=True)
            # Looked at before and after: who slept must not clear what another builds by now.
            if not self._is_held() or not self._clear() or not self._is_held():
                return self._lost("its lease expired before the step started")
            request = Request(index, self.start.nonce, self.holding.held_since, log)
            done, files = self.bodies.run(self.slot, request), _NO_FILES
            if not (done.exit_code or done.message):
                done, files = self._verified(done, log)
            self._send_log(log)
        except (MarinBuildError, OSError) as error:
            done, files = Done(1, _in_words(error)), _NO_FILES
        seconds, now = time.monotonic() - began, session.now()
        try:
            with self.bookkeeping:
                if done.exit_code or done.message:
                    return self._fail(done, log, seconds, now)
                attempt = self.holding.lease.attempt
                record = _record(session, index, attempt, stamp(started), stamp(now), seconds, done)
                self.holding.commit(
                    Publication(
                        record=record,
                        has_artifact=done.artifact is not None,
                        artifact=done.artifact,
                        manifest=files,
                    ),
                    now,
                )
        finally:
            if seconds >= session.register_after / 2:
                self.bodies.release(index)
        return ended.Succeeded(self.holding.lease.attempt, seconds)

    def _clear(self) -> bool:
        """Clear what an earlier attempt or a foreign writer left on a path of ours.

        Return False if the lease was lost before anything was deleted.
        """
        output, step = self.holding.output, self.session.targets.all[self.start.index].step
        if step.override_output_path is not None or step.resumable:
            return True
        again = self.holding.lease.attempt > 1 or self.start.index in self.session.forced
        # What is remote and was never built is not listed: that would be a request for nothing.
        if again or (not is_url(output) and has_foreign(output)):
            return clear_leftovers(self.session.store, output, is_held=self._is_held)
        return True

    def _is_held(self) -> bool:
        """Return whether the lease will hold while the body starts; renew it if it is old."""
        now = boot_clock()
        if now - self.holding.held_since < self.session.register_after:
            return True
        return self.holding.renew(now, time.time())

    def _verified(self, done: Done, log: str) -> tuple[Done, tuple[FileEntry, ...]]:
        """Return how a body ended whose output was looked at, and the files it left."""
        step = self.session.targets.all[self.start.index].step
        files = manifest_of(self.session.store, self.holding.output)
        missing = missing_output(step.outputs, files, done.artifact)
        if missing is not None:
            with open(log, "a", encoding="utf-8") as stream:
                stream.write(f"{missing}\n")
            return Done(1, missing), ()
        return done, tuple(FileEntry(path=path, size=size) for path, size in files)

    def _send_log(self, log: str) -> None:
        """Bring the log beside a remote output, if the step printed anything."""
        if not is_url(self.holding.output) or not os.path.exists(log) or not os.path.getsize(log):
            return
        with open(log, "rb") as stream:
            path = layout.log_path(self.holding.output, self.holding.lease.attempt)
            self.session.store.put(path, stream.read())

    def _fail(self, done: Done, log: str, seconds: float, now: datetime) -> ended.Outcome:
        why = self.asked_to_end()
        interrupted = why == INTERRUPTED
        code, message = done.exit_code or 1, done.message
        if why and not interrupted:
            code, message = TIMED_OUT, why
        if not self.holding.fail("interrupted" if interrupted else "failed", code, message, now):
            return self._lost(message)
        attempt = self.holding.lease.attempt  # another one if somebody had used the number
        if interrupted:
            return ended.Interrupted(attempt)
        return ended.Failed(attempt, code, message, log, seconds)

    def _lost(self, message: str) -> ended.Stopped:
        target = self.session.targets.all[self.start.index]
        return ended.Stopped(f"the lease on `{target.id}` was lost: {message}")


def _in_words(error: MarinBuildError | OSError) -> str:
    return error.what if isinstance(error, MarinBuildError) else str(error)


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
    fn = local_function(fn)
    inner = getattr(fn, "function", fn)
    name = getattr(inner, "__qualname__", type(inner).__qualname__)
    return f"{getattr(inner, '__module__', '?')}.{name}"
