"""A rank of a gang that is not its leader: works under the leader's lease, says how it ended.

It never takes a lease. What it knows of the leader's comes from its looks, and when they do not
show that the lease lives, its work ends: nothing overlaps with what another run builds.
"""

from __future__ import annotations

import math
import os
import signal
import threading
import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from marin_build.errors import (
    EXIT_OK,
    EXIT_STOPPED,
    MarinBuildError,
    StoppedError,
    StoreError,
)
from marin_build.pipeline.retries import INFRASTRUCTURE, cause_of
from marin_build.protocol import layout
from marin_build.protocol.gang import (
    RankEnd,
    RankWatch,
    Standing,
    look_as_rank,
    pause_between_looks,
    write_end,
)
from marin_build.protocol.lease import boot_clock
from marin_build.protocol.look import look
from marin_build.run_step.body import Done, Request
from marin_build.run_step.leader import GRACE, STOPPED
from marin_build.run_step.workers import hear_interrupt
from marin_build.text.readable import LONGEST_MESSAGE, shortened
from marin_build.workspace.own_folder import make_folder
from marin_build.workspace.places import is_url

if TYPE_CHECKING:
    from marin_build.pipeline.targets import Target
    from marin_build.run_step.body import Bodies
    from marin_build.run_step.launch import Launch
    from marin_build.run_step.session import Session


PATIENCE = 600.0
"""Seconds that a rank waits for its leader. If the leader ends, the engine ends the rank."""


@dataclass(frozen=True, slots=True)
class RankEnded:
    """How a rank ended, for people and for the engine.

    Args:
        message: why it failed, was stopped, or had nothing to do; empty if it ended well.
        exit_code: of its part of the step.
        process_code: what its process exits with. 0 says that the leader knows how it ended: an
            engine that ends a gang for any other code must not end a leader that has the failure
            to write down.
        seconds: how long it worked.

    """

    message: str
    exit_code: int
    process_code: int
    seconds: float = 0.0


class RankWorker:
    """One rank: waits for its leader, runs the body, stops it when it must.

    Args:
        session: the run; it has a launch.
        index: which target.
        bodies: run the body.
        forced_over: the version of the status over which a forced target is built.
        patience: seconds to wait for the leader.

    """

    def __init__(
        self,
        session: Session,
        index: int,
        bodies: Bodies,
        *,
        forced_over: str = "",
        patience: float = PATIENCE,
    ) -> None:
        assert session.launch is not None
        self._session, self._index, self._bodies = session, index, bodies
        self._launch: Launch = session.launch
        self._forced_over, self._patience = forced_over, patience
        self._watch = RankWatch(self._launch.name)
        self._pause = pause_between_looks(session.store, session.time_to_live)
        self._news = threading.Event()
        self._was_interrupted = False
        self._done: Done | None = None
        self._said = ""
        """Why the body was asked to end; empty if it was not."""

    def interrupt(self) -> None:
        """Ask the body to end, from a signal handler, too."""
        self._was_interrupted = True
        self._news.set()

    def run(self) -> RankEnded:
        """Work when the leader lets it, and say how it ended.

        Raises:
            StoppedError: the leader did not begin; or what the body started cannot be ended.

        """
        asked = boot_clock()
        while not self._was_interrupted:
            match self._look():
                case Standing.WORK if not self._watch.is_over(boot_clock()):
                    return self._work()
                case Standing.STOP:
                    return self._end(Done(STOPPED, "stopped before it began"), 0.0, stopped=True)
            if self._is_built():
                return RankEnded("it is built already", EXIT_OK, EXIT_OK)
            if boot_clock() - asked > self._patience:
                raise StoppedError(
                    f"rank {self._launch.rank}: the leader did not begin within "
                    f"{self._patience:.0f} s",
                    consequence="nothing was run on this host",
                    hint="the output of rank 0 says why",
                )
            self._news.wait(self._pause)
        return self._end(Done(STOPPED, "interrupted"), 0.0, stopped=True)

    @property
    def _target(self) -> Target:
        return self._session.targets.all[self._index]

    def _look(self) -> Standing | None:
        """Look at the lease; None: the store did not say."""
        try:
            output = self._target.output_path
            return look_as_rank(self._session.store, output, self._watch, boot_clock)
        except MarinBuildError:
            return None

    def _is_built(self) -> bool:
        """Return whether there is nothing to do: another run has built the target."""
        try:
            seen = look(self._session.store, self._target.output_path)
        except MarinBuildError:
            return False
        is_meant = self._index in self._session.forced and seen.status_version == self._forced_over
        return seen.status == "SUCCESS" and seen.lease is None and not is_meant

    def _work(self) -> RankEnded:
        """Run the body, and end it when the lease is not known to live any more."""
        launch, began, log = self._launch, boot_clock(), self._local_log()
        make_folder(os.path.dirname(log))
        # Its mark is its own: another rank on this machine must not count as its work.
        request = Request(self._index, f"{launch.name}.{launch.rank}", math.inf, log)
        body = threading.Thread(target=self._run_body, args=(request,), daemon=True)
        body.start()
        next_look, kill_at = began + self._pause, math.inf
        while self._done is None:
            now = boot_clock()
            if not self._said and (why := self._why_to_stop(now, look=now >= next_look)):
                self._said, kill_at = why, now + GRACE
                self._bodies.signal(self._index, signal.SIGTERM)
            if now >= next_look:
                next_look = boot_clock() + self._pause
            if now >= min(kill_at, self._watch.deadline):
                self._said = self._said or "stopped: the leader's lease was not seen to live"
                self._bodies.signal(self._index, signal.SIGKILL)
            due = min(next_look, kill_at, self._watch.deadline) - boot_clock()
            self._news.wait(max(due, self._pause / 10))
            self._news.clear()
        done = self._done
        if not self._said:
            hear_interrupt(done.exit_code, lambda: self._was_interrupted)
            self._said = "interrupted" if self._was_interrupted else ""
        was_stopped = bool(self._said)
        if self._said and done.has_failed:
            done = replace(done, exit_code=STOPPED, message=self._said)
        elif done.is_finished:  # only what it returned cannot be saved, and nobody reads that
            done = replace(done, exit_code=0, message="", is_finished=False)
        return self._end(done, boot_clock() - began, stopped=was_stopped and done.has_failed)

    def _why_to_stop(self, now: float, *, look: bool) -> str:
        if self._was_interrupted:
            return "interrupted"
        if look and now < self._watch.deadline and self._look() is Standing.STOP:
            return "stopped: the leader, or another rank, failed"
        return ""

    def _run_body(self, request: Request) -> None:
        try:
            self._done = self._bodies.run(0, request, lambda _: None)
        except BaseException as error:  # noqa: BLE001 - a lost answer would hang the rank
            self._done = Done(1, f"{type(error).__name__}: {error}", cause="infra")
        self._news.set()

    def _local_log(self) -> str:
        """Return the local file that takes what the body prints."""
        output, rank = self._target.output_path, self._launch.rank
        if not is_url(output):
            return layout.rank_log_path(output, self._watch.attempt, rank)
        import tempfile

        folder = os.path.join(
            tempfile.gettempdir(), f"marin-build-{os.getuid()}", self._session.run, self._target.id
        )
        return layout.rank_log_path(folder, self._watch.attempt, rank)

    def _end(self, done: Done, seconds: float, *, stopped: bool) -> RankEnded:
        """Tell the leader how this rank ended; if that cannot be told, the process says it."""
        redactor = self._session.redactor_of(self._target.step)
        message = shortened(redactor.clean_text(done.message), LONGEST_MESSAGE)
        code = (done.exit_code or 1) if done.has_failed else 0
        if not self._watch.attempt:  # the leader has not begun: nobody waits for this rank
            return RankEnded(message, code, code)
        cause = cause_of(code, "infra" if stopped else done.cause) if code else None
        end = RankEnd(
            launch=self._launch.name,
            attempt=self._watch.attempt,
            rank=self._launch.rank,
            exit_code=code,
            message=message or None,
            cause=cause,
            at=time.time(),
            was_stopped=stopped,
            peak_memory_bytes=done.peak_memory,
            cpu_seconds=done.cpu_seconds,
        )
        return RankEnded(message, code, self._tell(end), seconds)

    def _tell(self, end: RankEnd) -> int:
        """Write the log and the end while the leader may wait for it; return our exit code."""
        store, output = self._session.store, self._target.output_path
        until = boot_clock() + self._session.time_to_live
        while True:
            try:
                if is_url(output):
                    self._send_log()
                return EXIT_OK if write_end(store, output, end) else EXIT_STOPPED
            except StoreError:
                if boot_clock() >= until:
                    return INFRASTRUCTURE
            time.sleep(self._pause)

    def _send_log(self) -> None:
        log, output = self._local_log(), self._target.output_path
        if os.path.exists(log) and os.path.getsize(log):
            with open(log, "rb") as stream:
                path = layout.rank_log_path(output, self._watch.attempt, self._launch.rank)
                self._session.store.put(path, stream.read())
