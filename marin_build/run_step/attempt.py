"""One attempt at a target we hold: prepare its output, verify what the body left, end it."""

from __future__ import annotations

import time
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from marin_build.errors import MarinBuildError, StoppedError, StoreAwayError, StoreError
from marin_build.pipeline.retries import TIMED_OUT, cause_of
from marin_build.plan import outcomes as ended
from marin_build.protocol import layout
from marin_build.protocol.artifact import own_artifact
from marin_build.protocol.documents import FileEntry, Publication
from marin_build.protocol.manifest import manifest_of, missing_output
from marin_build.run_step.body import Done, Request
from marin_build.run_step.checks import Checks
from marin_build.run_step.finished_work import commit_kept, keep_for_later
from marin_build.run_step.kept_output import (
    NOT_SAVED,
    files_of,
    way_on,
    way_to_commit,
)
from marin_build.run_step.leftover_rights import give_rights_back
from marin_build.run_step.lost_folder import what_deleted, what_replaced
from marin_build.run_step.output_folder import digests_of, protect
from marin_build.run_step.patient_store import A_WHILE, Patience
from marin_build.run_step.prepare_output import kept_output, make_ready
from marin_build.run_step.record import make_record
from marin_build.run_step.set_aside import forget_set_aside
from marin_build.run_step.step_log import add_line
from marin_build.run_step.workers import INTERRUPTED
from marin_build.store import bounds
from marin_build.text.moments import stamp
from marin_build.text.readable import LONGEST_MESSAGE, shortened
from marin_build.workspace.own_files import read_own
from marin_build.workspace.places import is_url

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from marin_build.pipeline.step_spec import StepSpec
    from marin_build.protocol.documents import Result
    from marin_build.protocol.held_target import Holding
    from marin_build.run_step.session import Session
    from marin_build.store.base import File


@dataclass(slots=True)
class Attempt:
    """One attempt, in the order of its methods.

    Args:
        session: the run.
        index: which target.
        holding: the target under our lease.

    """

    session: Session
    index: int
    holding: Holding
    log: str = field(init=False)
    """Local path of the file that takes what the body prints."""
    checks: Checks = field(init=False)
    """Of what it is built from."""
    _began: float = field(init=False)
    _started: datetime = field(init=False)
    _kept: Publication | None = None
    """What an earlier attempt finished, where this one must not build over it."""

    def __post_init__(self) -> None:
        """Take note of the time."""
        self.log = self.session.log_path(self.index, self.holding.lease)
        self.checks = Checks(self.session, self.index)
        self._began, self._started = time.monotonic(), self.session.now()

    def commit_finished(self) -> ended.Reused | None:
        """Commit what an earlier attempt finished, where only the commit is missing.

        Returns:
            None if there is nothing such: the body is to be run.

        Raises:
            StoppedError: the lease was lost.
            StoreError: the store still does not take it.

        """
        kept = kept_output(self.session, self.index, self.holding)
        if kept is None or not kept.is_complete:
            self._kept = kept.publication if kept is not None else None
            return None
        files = commit_kept(self.session, self.index, self.holding, kept)
        if files is None:
            return None
        self._has_committed(files)
        return ended.Reused(published=True)

    def prepare(self) -> Done | None:
        """Make the output ready for the body; return how it ended if that cannot be done.

        Raises:
            StoppedError: the lease expired before the body could start.

        """
        try:
            self.log = self.session.new_log(self.index, self.holding.lease)
            if self._kept is not None:
                return Done(1, NOT_SAVED, is_finished=True)
            ready = make_ready(self.session, self.index, self.holding)
        except (MarinBuildError, OSError) as error:
            return _spoiled(error)
        if not ready:
            raise self._lost("it expired before the step started")
        return None

    def give_up(self, why: str) -> None:
        """Let go of the target before the body has started: the next run builds it."""
        self.holding.fail("interrupted", 1, why, self.session.now())

    def request(self, gpus: tuple[str, ...] = ()) -> Request:
        """Return what the body is run with, on which devices."""
        lease, held_since = self.holding.lease, self.holding.held_since
        return Request(self.index, lease.nonce, held_since, self.log, gpus)

    def end(self, done: Done, why_ended: str) -> ended.Outcome:
        """Verify what the body left, and commit it or end the attempt without success.

        Args:
            done: how the body ended.
            why_ended: INTERRUPTED, or why else this run ended it; empty if it did not.

        Raises:
            StoppedError: the lease was lost; nothing was committed.
            StoreAwayError: the store gave no answer.

        """
        replaced, hint = what_replaced(self.holding.output)
        if replaced:
            attempt, seconds = self.holding.lease.attempt, time.monotonic() - self._began
            return ended.Failed(attempt, 1, replaced, seconds=seconds, hint=hint)
        if (deleted := self._was_deleted()) is not None:
            raise deleted  # what lies there now may be anything: the step may have moved it there
        if why_ended not in ("", INTERRUPTED) and not done.has_failed:
            done = replace(done, exit_code=TIMED_OUT)  # it ended because it was asked to
        files: list[File] = []
        digests: dict[str, str] = {}
        unlisted: StoreError | None = None
        if not is_url(self.holding.output):
            give_rights_back(self.holding.output)
        try:
            if not done.has_failed:
                done, files = self._verified(done)
            elif done.is_finished and self._kept is None:
                files = manifest_of(self.session.store, self.holding.output)
            if self.session.digests and not is_url(self.holding.output) and not done.has_failed:
                digests = digests_of(self.holding.output, files)
            self._send_log()
        except StoreError as error:
            if not done.has_failed:
                unlisted = error
            else:
                done = replace(_spoiled(error), is_finished=done.is_finished)
        except (MarinBuildError, OSError) as error:
            done = replace(_spoiled(error), is_finished=done.is_finished)
        seconds, now = time.monotonic() - self._began, self.session.now()
        if done.has_failed and not done.is_finished:
            return self._fail(done, why_ended, seconds, now)
        if (stopped := self.checks.code()) is not None:
            return self._fail(Done(1, stopped.message), "", seconds, now, stopped=stopped)
        record = make_record(
            self.session,
            self.index,
            self.holding.lease.attempt,
            stamp(self._started),
            stamp(now),
            seconds,
            done,
            files,
        )
        publication = Publication(
            record=record,
            has_artifact=done.artifact is not None or done.is_finished,
            artifact=done.artifact,
            keeps_artifact=self._step.writes_record,
            manifest=tuple(FileEntry(path=path, size=size) for path, size in files),
            digests=digests,
        )
        if unlisted is not None:
            return self._set_aside(publication, unlisted, seconds, is_listed=bool(files))
        if done.is_finished:
            return self._fail(done, why_ended, seconds, now, self._kept or publication)
        return self._commit(publication, now, seconds)

    def patience(self, asked_to_end: Callable[[], object]) -> Patience:
        """Return how patient its end is: it waits for as long as it took, or a little while."""
        took = max(time.monotonic() - self._began, A_WHILE)

        def note(error: StoreAwayError, seconds: float) -> None:
            if seconds >= 1:
                said = f"{error.with_reason}; what is to be written waits, "
                self._add_to_log(f"{said}{seconds:.0f} s at most")

        return Patience(asked_to_end, away=took, denied=took, on_wait=note)

    def _commit(
        self, publication: Publication, now: datetime, seconds: float
    ) -> ended.Succeeded | ended.Failed:
        try:
            self.holding.commit(publication, now)
        except StoppedError as error:
            raise self._was_deleted() or error from None
        except StoreError as error:
            if self.holding.sealed is not None:  # it is committed: the next try publishes it
                raise
            return self._set_aside(publication, error, seconds)
        self._has_committed(files_of(publication))
        return ended.Succeeded(self.holding.lease.attempt, seconds)

    def _has_committed(self, files: list[File]) -> None:
        forget_set_aside(self.holding.output)
        if self.session.inputs is not None:
            self.session.inputs.built(self.index, files)
        if self.session.protect:
            protect(self.holding.output)

    def _set_aside(
        self, publication: Publication, error: StoreError, seconds: float, *, is_listed: bool = True
    ) -> ended.Failed:
        """Keep what the store does not take: a later try commits it, and does not run the body."""
        attempt = self.holding.lease.attempt  # that of what is kept; to fail may take a new number
        message = f"it did its work, and the store does not take it: {error.with_reason}"
        keep_for_later(self.holding, publication, is_listed=is_listed)
        self._add_to_log(message)
        with suppress(StoreError):  # so that another run need not wait, if that can be written
            self.holding.fail("interrupted", 1, message, self.session.now(), cause="infra")
        hint = way_to_commit(self._step.name)
        return ended.Failed(
            attempt, 1, message, self.log, seconds, hint=hint, cause="infra", is_finished=True
        )

    @property
    def is_long(self) -> bool:
        """Whether it may have taken so long that its lease was handed to the keeper."""
        return time.monotonic() - self._began >= self.session.register_after / 2

    @property
    def _step(self) -> StepSpec:
        return self.session.targets.all[self.index].step

    def _verified(self, done: Done) -> tuple[Done, list[File]]:
        """Look at the output; return how the body ended in view of it, and the files it left."""
        store, output = self.session.store, self.holding.output
        files = manifest_of(store, output)
        if self._step.writes_record:
            done = replace(done, artifact=own_artifact(store, output))
        wrong = missing_output(self._step.outputs, files, done.artifact)
        if wrong is None and (changed := self.checks.inputs()):
            wrong = f"an input changed while the step ran: {changed}"
        if wrong is None:
            return done, files
        self._add_to_log(wrong)
        return Done(1, wrong), []

    def _add_to_log(self, text: str) -> None:
        with suppress(OSError):  # a person, or a cleaner of temporary files, took the log away
            add_line(self.log, text, time.time())

    def _send_log(self) -> None:
        """Bring the log beside a remote output, if the step printed anything."""
        output, log = self.holding.output, self.log
        if not is_url(output):
            return
        data = b""
        with suppress(OSError):  # it printed nothing; or a cleaner of temporary files took it away
            data = read_own(log, bounds.LONGEST)
        if data:
            self.session.store.put(layout.log_path(output, self.holding.lease.attempt), data)

    def _fail(
        self,
        done: Done,
        why_ended: str,
        seconds: float,
        now: datetime,
        finished: Publication | None = None,
        stopped: ended.Stopped | None = None,
    ) -> ended.Interrupted | ended.Failed | ended.Stopped:
        interrupted = why_ended == INTERRUPTED
        code = done.exit_code or 1
        message = self.session.redactor_of(self._step).clean_text(done.message)
        message = shortened(message, LONGEST_MESSAGE)
        cause = cause_of(code, done.cause)
        if why_ended and not interrupted:
            code, message, cause = TIMED_OUT, why_ended, "timeout"
        result: Result = "interrupted" if interrupted else "failed"
        try:
            is_ours = self.holding.fail(
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
            add_line(self.log, f"its end could not be written: {error.with_reason}", time.time())
            is_ours = True
        if not is_ours:
            raise self._lost(message)
        if stopped is not None:
            return stopped
        attempt = self.holding.lease.attempt  # a new number if another run had used ours
        if interrupted:
            return ended.Interrupted(attempt)
        return ended.Failed(
            attempt,
            code,
            message,
            self.log,
            seconds,
            hint=way_on(self._step.name) if finished is not None else self.checks.hint(),
            cause=cause,
            peak_memory_bytes=done.peak_memory,
            is_finished=finished is not None,
        )

    def _was_deleted(self) -> StoppedError | None:
        return what_deleted(self.holding.output, self._step.name)

    def _lost(self, message: str) -> StoppedError:
        if (deleted := self._was_deleted()) is not None:
            return deleted
        target = self.session.targets.all[self.index]
        return StoppedError(f"the lease on `{target.id}` was lost: {message}")


def _spoiled(error: MarinBuildError | OSError) -> Done:
    what = error.with_reason if isinstance(error, MarinBuildError) else str(error)
    return Done(1, what, cause="infra" if isinstance(error, StoreAwayError) else None)
