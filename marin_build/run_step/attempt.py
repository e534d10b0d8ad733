"""One attempt at a target we hold, until its body ends: end_attempt.py goes on from there."""

from __future__ import annotations

import time
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from marin_build.errors import MarinBuildError, StoppedError, StoreAwayError
from marin_build.plan import outcomes as ended
from marin_build.run_step.body import Done, Request
from marin_build.run_step.checks import Checks
from marin_build.run_step.finished_work import commit_kept
from marin_build.run_step.kept_output import NOT_SAVED
from marin_build.run_step.lost_folder import was_deleted
from marin_build.run_step.output_folder import protect
from marin_build.run_step.patient_store import A_WHILE, Patience
from marin_build.run_step.prepare_output import kept_output, make_ready
from marin_build.run_step.set_aside import forget_set_aside
from marin_build.run_step.step_log import add_line
from marin_build.workspace.places import is_url

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from marin_build.pipeline.step_spec import StepSpec
    from marin_build.protocol.documents import Publication
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
    began: float = field(init=False)
    """When, on the monotonic clock."""
    started: datetime = field(init=False)
    kept: Publication | None = None
    """What an earlier attempt finished, where this one must not build over it."""

    def __post_init__(self) -> None:
        """Take note of the time."""
        self.log = self.session.log_path(self.index, self.holding.lease)
        self.checks = Checks(self.session, self.index)
        self.began, self.started = time.monotonic(), self.session.now()

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
            self.kept = kept.publication if kept is not None else None
            return None
        files = commit_kept(self.session, self.index, self.holding, kept)
        if files is None:
            return None
        self.committed(files)
        return ended.Reused(published=True)

    def prepare(self, *, makes_log: bool) -> Done | None:
        """Make the output ready for the body; return how it ended if that cannot be done.

        Args:
            makes_log: whether the body's log is made when there is something to write.

        Raises:
            StoppedError: the lease expired before the body could start.

        """
        try:
            if not makes_log or is_url(self.holding.output):
                self.log = self.session.new_log(self.index, self.holding.lease)
            if self.kept is not None:
                return Done(1, NOT_SAVED, is_finished=True)
            ready = make_ready(self.session, self.index, self.holding)
        except (MarinBuildError, OSError) as error:
            return spoiled(error)
        if not ready:
            raise self.lost("it expired before the step started")
        return None

    def give_up(self, why: str) -> None:
        """Let go of the target before the body has started: the next run builds it."""
        self.holding.fail("interrupted", 1, why, self.session.now())

    def request(self, gpus: tuple[str, ...] = ()) -> Request:
        """Return what the body is run with, on which devices."""
        lease, held_since = self.holding.lease, self.holding.held_since
        is_locked = self.holding.is_quick
        return Request(self.index, lease.nonce, held_since, self.log, gpus, is_locked)

    def patience(self, asked_to_end: Callable[[], object]) -> Patience:
        """Return how patient its end is: it waits for as long as it took, or a little while."""
        took = max(time.monotonic() - self.began, A_WHILE)

        def note(error: StoreAwayError, seconds: float) -> None:
            if seconds >= 1:
                said = f"{error.with_reason}; what is to be written waits, "
                self.add_to_log(f"{said}{seconds:.0f} s at most")

        return Patience(asked_to_end, away=took, denied=took, on_wait=note)

    def committed(self, files: list[File]) -> None:
        """Take note that its output is committed, with these files."""
        forget_set_aside(self.holding.output)
        if self.session.inputs is not None:
            self.session.inputs.built(self.index, files)
        if self.session.protect:
            protect(self.holding.output)

    @property
    def is_long(self) -> bool:
        """Whether it may have taken so long that its lease was handed to the keeper."""
        return time.monotonic() - self.began >= self.session.register_after / 2

    @property
    def step(self) -> StepSpec:
        """What is built."""
        return self.session.targets.all[self.index].step

    def add_to_log(self, text: str) -> None:
        """Add a line of ours to what the body printed."""
        with suppress(OSError):  # a person, or a cleaner of temporary files, took the log away
            self.session.new_log(self.index, self.holding.lease)
            add_line(self.log, text, time.time())

    def was_deleted(self) -> StoppedError | None:
        """Return the error for an output whose folder is gone; None if it is there."""
        if self.holding.is_there():
            return None
        return was_deleted(self.holding.output, self.step.name)

    def lost(self, message: str) -> StoppedError:
        """Return the error for a target that is no longer ours."""
        if (deleted := self.was_deleted()) is not None:
            return deleted
        target = self.session.targets.all[self.index]
        return StoppedError(f"the lease on `{target.id}` was lost: {message}")


def spoiled(error: MarinBuildError | OSError) -> Done:
    """Return how a body counts as ended whose output could not be prepared, or looked at."""
    what = error.with_reason if isinstance(error, MarinBuildError) else str(error)
    return Done(1, what, cause="infra" if isinstance(error, StoreAwayError) else None)
