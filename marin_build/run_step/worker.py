"""Build one target: acquire, run, verify, commit."""

from __future__ import annotations

import os
import resource
import sys
import time
from typing import TYPE_CHECKING, Any

from marin_build.code import code_digest
from marin_build.commands import Command
from marin_build.digests import digest_of, read_digest
from marin_build.errors import MarinBuildError, StoppedError
from marin_build.protocol import layout
from marin_build.protocol.artifact import artifact_value
from marin_build.protocol.documents import Publication, Record
from marin_build.protocol.holding import Finished, Held, Holding, acquire, stamp
from marin_build.protocol.lease import Lease, process_start
from marin_build.run_step import outcome as ended
from marin_build.run_step.body import (
    OutputMissingError,
    call,
    clear_leftovers,
    manifest_of,
    user_traceback,
    verify,
)
from marin_build.workspace import is_url

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager
    from datetime import datetime

    from marin_build.fingerprint import Target
    from marin_build.run_step.session import Session

EXIT_OUTPUT_MISSING = 1

LogTo = "Callable[[str], AbstractContextManager[None]]"
"""Sends what the step prints to a file, for a block."""


def build_target(
    session: Session,
    index: int,
    nonce: str,
    *,
    stale_version: str = "",
    log_to: Callable[[str], AbstractContextManager[None]],
) -> ended.Outcome:
    """Build a target if it is not built, in this process.

    Args:
        session: the run.
        index: which target.
        nonce: recognises this attempt's lease.
        stale_version: a lease version the caller has watched for longer than it may live.
        log_to: sends what the step prints to the attempt's log.

    """
    target = session.targets.all[index]
    try:
        pinned = session.pinned_code.get(target.id)
        if pinned is not None and code_digest(target.step.fn) != pinned:
            return ended.Stopped(
                f"the code of `{target.name}` is not what the plan was made with",
                hint="make the plan again",
            )
        if is_url(target.output_path):
            return ended.Stopped(
                f"cannot build at `{target.output_path}` from here",
                hint="emit the plan for an engine with `plan -o`",
            )
        pid = os.getpid()
        lease = Lease(
            session.host.worker,
            time.time(),
            run=session.run,
            nonce=nonce,
            boot=session.host.boot,
            pid=pid,
            start=_own_start(pid),
        )
        got = acquire(
            session.store,
            target.output_path,
            target=target.id,
            lease=lease,
            host=session.host,
            now=session.now(),
            force=index in session.forced,
            stale_version=stale_version,
        )
    except StoppedError as error:
        return ended.Stopped(error.what, error.hint or "")
    except MarinBuildError as error:
        return ended.Failed(0, 1, error.what, hint=error.hint or "")
    match got:
        case Finished(published=published):
            return ended.Reused(published)
        case Held(lease=holder, version=version):
            return ended.Held(holder, version)
        case Holding():
            return _attempt(session, index, got, log_to)


_start_of_pid: tuple[int, int] = (0, 0)


def _own_start(pid: int) -> int:
    """Return when this process started, read once a process."""
    global _start_of_pid  # noqa: PLW0603 - a cache of one number that a fork makes stale
    if _start_of_pid[0] != pid:
        _start_of_pid = (pid, process_start(pid))
    return _start_of_pid[1]


def _attempt(
    session: Session,
    index: int,
    holding: Holding,
    log_to: Callable[[str], AbstractContextManager[None]],
) -> ended.Outcome:
    """Run a target we hold, and end the attempt."""
    target, attempt = session.targets.all[index], holding.attempt.attempt
    log = layout.log_path(target.output_path, attempt)
    began, started = time.monotonic(), session.now()
    try:
        with log_to(log):
            code, message, artifact = _run(target, attempt, forced=index in session.forced)
        if code:
            holding.fail("failed", code, message, session.now())
            seconds = time.monotonic() - began
            return ended.Failed(attempt, code, message, log, seconds)
        seconds = time.monotonic() - began
        publication = _publication(session, index, attempt, artifact, started, seconds)
        holding.commit(publication, session.now())
    except OutputMissingError as error:
        holding.fail("failed", EXIT_OUTPUT_MISSING, str(error), session.now())
        return ended.Failed(attempt, EXIT_OUTPUT_MISSING, str(error), log, time.monotonic() - began)
    except StoppedError as error:
        return ended.Stopped(error.what, error.hint or "")
    except MarinBuildError as error:
        return ended.Failed(attempt, 1, error.what, log, hint=error.hint or "")
    return ended.Succeeded(attempt, seconds)


def _run(target: Target, attempt: int, *, forced: bool) -> tuple[int, str, Any]:
    """Run the step; return exit code, message and artifact."""
    step, output = target.step, target.output_path
    try:
        changed = _changed_input(target)
        if changed:
            return 1, f"input changed before the step started: `{changed}`", None
        # The first attempt on a path of ours finds nothing to clear, except what a foreign
        # writer left; an override that we did not create is never cleared.
        ours = step.override_output_path is None and not step.resumable
        if ours and (attempt > 1 or forced or _has_foreign(output)):
            clear_leftovers(output)
        if step.env_vars:
            os.environ.update(step.env_vars)
        artifact = artifact_value(call(step, output))
        changed = _changed_input(target)
        if changed:
            return 1, f"input changed while the step ran: `{changed}`", None
        verify(step.outputs, output, manifest_of(output), has_artifact=artifact is not None)
    except OutputMissingError as error:
        sys.stderr.write(f"{error}\n")
        raise
    except SystemExit as error:
        return _exit_code(error), f"exited with code {_exit_code(error)}", None
    except Exception as error:  # noqa: BLE001 - whatever the step raises is its failure
        sys.stderr.write(user_traceback(error))
        return 1, f"{type(error).__name__}: {error}", None
    else:
        return 0, "", artifact


def _has_foreign(output: str) -> bool:
    """Return whether an output holds files that no attempt of ours made."""
    return any(not name.startswith(".") for name in os.listdir(output))


def _changed_input(target: Target) -> str | None:
    """Return the name of a local source that no longer has the digest of the plan."""
    for source in target.step.inputs.values():
        if not is_url(source.location) and read_digest(source) != digest_of(source):
            return source.name
    return None


def _exit_code(error: SystemExit) -> int:
    """Return the exit code of a SystemExit, as Python itself would."""
    if error.code is None:
        return 0
    if isinstance(error.code, int):
        return error.code & 0xFF
    sys.stderr.write(f"{error.code}\n")
    return 1


def _publication(
    session: Session, index: int, attempt: int, artifact: Any, started: datetime, seconds: float
) -> Publication:
    target = session.targets.all[index]
    step, fn = target.step, target.step.fn
    deps = tuple(session.targets.all[dep].id for dep in session.targets.deps[index])
    record = Record(
        name=step.name,
        target=target.id,
        fn=function_name(fn),
        command=dict(fn.template) if isinstance(fn, Command) else None,
        attributes=dict(step.hash_attrs),
        fingerprint=target.fingerprint,
        deep_fingerprint=session.deep[index],
        payload=step.payload,
        code_digest=code_digest(fn) if fn is not None else None,
        deps=deps,
        provenance=session.provenance,
        run=session.run,
        attempt=attempt,
        start=stamp(started),
        end=stamp(session.now()),
        seconds=round(seconds, 6),
        exit_code=0,
        peak_memory_bytes=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
    )
    return Publication(
        record=record,
        has_artifact=artifact is not None,
        artifact=artifact,
        manifest=manifest_of(target.output_path),
    )


def function_name(fn: object) -> str | None:
    """Return the dotted name of what builds a step, for people."""
    inner = getattr(fn, "function", fn)
    if fn is None or isinstance(fn, Command):
        return None
    name = getattr(inner, "__qualname__", type(inner).__qualname__)
    return f"{getattr(inner, '__module__', '?')}.{name}"
