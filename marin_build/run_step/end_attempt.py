"""How an attempt ends: what the body left is verified and committed, or set aside, or it failed."""

from __future__ import annotations

import time
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING

from marin_build.errors import MarinBuildError, StoppedError, StoreError
from marin_build.pipeline.retries import TIMED_OUT, cause_of
from marin_build.plan import outcomes as ended
from marin_build.protocol import layout
from marin_build.protocol.artifact import own_artifact
from marin_build.protocol.documents import FileEntry, Publication
from marin_build.protocol.manifest import manifest_of, missing_output
from marin_build.run_step.attempt import spoiled
from marin_build.run_step.body import Done
from marin_build.run_step.finished_work import keep_for_later
from marin_build.run_step.kept_output import files_of, way_on, way_to_commit
from marin_build.run_step.leftover_rights import give_rights_back
from marin_build.run_step.lost_folder import what_replaced
from marin_build.run_step.output_folder import digests_of
from marin_build.run_step.record import make_record
from marin_build.run_step.workers import INTERRUPTED
from marin_build.store import bounds
from marin_build.text.moments import stamp
from marin_build.text.readable import LONGEST_MESSAGE, shortened
from marin_build.workspace.own_files import read_own
from marin_build.workspace.places import is_url

if TYPE_CHECKING:
    from datetime import datetime

    from marin_build.protocol.documents import Result
    from marin_build.run_step.attempt import Attempt
    from marin_build.store.base import File


def end_attempt(attempt: Attempt, done: Done, why_ended: str) -> ended.Outcome:
    """Verify what the body left, and commit it or end the attempt without success.

    Args:
        attempt: which one.
        done: how the body ended.
        why_ended: INTERRUPTED, or why else this run ended it; empty if it did not.

    Raises:
        StoppedError: the lease was lost; nothing was committed.
        StoreAwayError: the store gave no answer.

    """
    replaced, hint = what_replaced(attempt.holding.output)
    if replaced:
        number, seconds = attempt.holding.lease.attempt, time.monotonic() - attempt.began
        return ended.Failed(number, 1, replaced, seconds=seconds, hint=hint)
    if (deleted := attempt.was_deleted()) is not None:
        raise deleted  # what lies there now may be anything: the step may have moved it there
    if why_ended not in ("", INTERRUPTED) and not done.has_failed:
        done = replace(done, exit_code=TIMED_OUT)  # it ended because it was asked to
    files: list[File] = []
    digests: dict[str, str] = {}
    unlisted: StoreError | None = None
    if not is_url(attempt.holding.output):
        give_rights_back(attempt.holding.output)
    try:
        if not done.has_failed:
            done, files = _verified(attempt, done)
        elif done.is_finished and attempt.kept is None:
            files = manifest_of(attempt.session.store, attempt.holding.output)
        if attempt.session.digests and not is_url(attempt.holding.output) and not done.has_failed:
            digests = digests_of(attempt.holding.output, files)
        _send_log(attempt)
    except StoreError as error:
        if not done.has_failed:
            unlisted = error
        else:
            done = replace(spoiled(error), is_finished=done.is_finished)
    except (MarinBuildError, OSError) as error:
        done = replace(spoiled(error), is_finished=done.is_finished)
    seconds, now = time.monotonic() - attempt.began, attempt.session.now()
    if done.has_failed and not done.is_finished:
        return _fail(attempt, done, why_ended, seconds, now)
    if (stopped := attempt.checks.code()) is not None:
        return _fail(attempt, Done(1, stopped.message), "", seconds, now, stopped=stopped)
    record = make_record(
        attempt.session,
        attempt.index,
        attempt.holding.lease.attempt,
        stamp(attempt.started),
        stamp(now),
        seconds,
        done,
        files,
    )
    publication = Publication(
        record=record,
        has_artifact=done.artifact is not None or done.is_finished,
        artifact=done.artifact,
        keeps_artifact=attempt.step.writes_record,
        manifest=tuple(FileEntry(path=path, size=size) for path, size in files),
        digests=digests,
    )
    if unlisted is not None:
        return _set_aside(attempt, publication, unlisted, seconds, is_listed=bool(files))
    if done.is_finished:
        return _fail(attempt, done, why_ended, seconds, now, attempt.kept or publication)
    return _commit(attempt, publication, now, seconds)


def _verified(attempt: Attempt, done: Done) -> tuple[Done, list[File]]:
    """Look at the output; return how the body ended in view of it, and the files it left."""
    store, output = attempt.session.store, attempt.holding.output
    files = manifest_of(store, output)
    if attempt.step.writes_record:
        done = replace(done, artifact=own_artifact(store, output))
    wrong = missing_output(attempt.step.outputs, files, done.artifact)
    if wrong is None and (changed := attempt.checks.inputs()):
        wrong = f"an input changed while the step ran: {changed}"
    if wrong is None:
        return done, files
    attempt.add_to_log(wrong)
    return Done(1, wrong), []


def _send_log(attempt: Attempt) -> None:
    """Bring the log beside a remote output, if the step printed anything."""
    output, log = attempt.holding.output, attempt.log
    if not is_url(output):
        return
    data = b""
    with suppress(OSError):  # it printed nothing; or a cleaner of temporary files took it away
        data = read_own(log, bounds.LONGEST)
    if data:
        attempt.session.store.put(layout.log_path(output, attempt.holding.lease.attempt), data)


def _commit(
    attempt: Attempt, publication: Publication, now: datetime, seconds: float
) -> ended.Succeeded | ended.Failed:
    try:
        attempt.holding.commit(publication, now)
    except StoppedError as error:
        raise attempt.was_deleted() or error from None
    except StoreError as error:
        if attempt.holding.sealed is not None:  # it is committed: the next try publishes it
            raise
        return _set_aside(attempt, publication, error, seconds)
    attempt.committed(files_of(publication))
    return ended.Succeeded(attempt.holding.lease.attempt, seconds)


def _set_aside(
    attempt: Attempt,
    publication: Publication,
    error: StoreError,
    seconds: float,
    *,
    is_listed: bool = True,
) -> ended.Failed:
    """Keep what the store does not take: a later try commits it, and does not run the body."""
    number = attempt.holding.lease.attempt  # that of what is kept; to fail may take a new number
    message = f"it did its work, and the store does not take it: {error.with_reason}"
    keep_for_later(attempt.holding, publication, is_listed=is_listed)
    attempt.add_to_log(message)
    with suppress(StoreError):  # so that another run need not wait, if that can be written
        attempt.holding.fail("interrupted", 1, message, attempt.session.now(), cause="infra")
    hint = way_to_commit(attempt.step.name)
    return ended.Failed(
        number, 1, message, attempt.log, seconds, hint=hint, cause="infra", is_finished=True
    )


def _fail(
    attempt: Attempt,
    done: Done,
    why_ended: str,
    seconds: float,
    now: datetime,
    finished: Publication | None = None,
    stopped: ended.Stopped | None = None,
) -> ended.Interrupted | ended.Failed | ended.Stopped:
    interrupted = why_ended == INTERRUPTED
    code = done.exit_code or 1
    message = attempt.session.redactor_of(attempt.step).clean_text(done.message)
    message = shortened(message, LONGEST_MESSAGE)
    cause = cause_of(code, done.cause)
    if why_ended and not interrupted:
        code, message, cause = TIMED_OUT, why_ended, "timeout"
    result: Result = "interrupted" if interrupted else "failed"
    try:
        is_ours = attempt.holding.fail(
            result,
            code,
            message,
            now,
            cause=None if interrupted else cause,
            peak_memory=done.peak_memory,
            cpu_seconds=done.cpu_seconds,
            finished=finished,
        )
    except StoreError as error:
        # The step's own failure counts. Our lease may be left behind, for the next try to take.
        attempt.add_to_log(f"its end could not be written: {error.with_reason}")
        is_ours = True
    if not is_ours:
        raise attempt.lost(message)
    if stopped is not None:
        return stopped
    number = attempt.holding.lease.attempt  # a new number if another run had used ours
    if interrupted:
        return ended.Interrupted(number)
    return ended.Failed(
        number,
        code,
        message,
        attempt.log,
        seconds,
        hint=way_on(attempt.step.name) if finished is not None else attempt.checks.hint(),
        cause=cause,
        peak_memory_bytes=done.peak_memory,
        is_finished=finished is not None,
    )
