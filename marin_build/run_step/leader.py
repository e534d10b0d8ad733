"""Rank 0 of a gang: it holds the lease, lets the ranks start, and says how all of them ended."""

from __future__ import annotations

import os
import signal
import threading
import time
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from marin_build.errors import CorruptStateError, StoppedError, StoreError
from marin_build.observe.read_logs import last_lines, log_tail
from marin_build.pipeline.retries import exited_with
from marin_build.protocol import layout
from marin_build.protocol.gang import (
    RankEnd,
    Verdict,
    pause_between_looks,
    read_ends,
    stop_ranks,
    verdict,
    write_start,
)
from marin_build.protocol.lease import TIME_TO_LIVE, boot_clock
from marin_build.protocol.renewal import RENEW_EVERY
from marin_build.run_step.body import Done
from marin_build.run_step.step_log import add_line
from marin_build.run_step.workers import INTERRUPTED, hear_interrupt
from marin_build.workspace.places import is_url

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from marin_build.protocol.held_target import Holding
    from marin_build.run_step.body import Bodies, Request
    from marin_build.run_step.launch import Launch
    from marin_build.run_step.session import Session


GRACE = 10.0
"""Seconds that a rank has to end by itself after it was asked to."""
STOPPED = 128 + signal.SIGTERM
_MOST_FAILED = 3
"""Ranks whose failures are shown; the others often fail because the first one did."""


@dataclass(slots=True)
class Leader:
    """The ranks of one attempt, as rank 0 leads them.

    Args:
        session: the run; it has a launch.
        index: which target.
        holding: the target under our lease.
        bodies: run our own part.
        asked_to_end: INTERRUPTED, or why else this run ends the step; empty if it does not.
        wait: sleeps.

    """

    session: Session
    index: int
    holding: Holding
    bodies: Bodies
    asked_to_end: Callable[[], str]
    wait: Callable[[float], None] = time.sleep
    _attempt: int = field(init=False)
    """The number under which the ranks know the attempt."""
    _renewed: float = field(init=False)
    """Since when the lease is known to be ours; the keeper may have renewed it since."""
    _due: float = 0.0
    """When to renew it while we wait: soon, for ranks that do not know how old it is."""
    _stops_own: bool = False
    """Whether our own part was asked to end because a rank failed."""

    def __post_init__(self) -> None:
        """Take note of the attempt."""
        self._attempt = self.holding.lease.attempt
        self._renewed = self.holding.held_since

    @property
    def _launch(self) -> Launch:
        assert self.session.launch is not None
        return self.session.launch

    @property
    def _pause(self) -> float:
        return pause_between_looks(self.session.store, self.session.time_to_live)

    def run(self, slot: int, request: Request, tell: Callable[[str], None]) -> Done:
        """Let the ranks start, run our own part, and return how all of them ended.

        When this returns no rank works any more.

        Raises:
            StoppedError: that is not known, or the lease was lost. Then the lease must be left to
                age: nothing else may build before the ranks have seen that it did.

        """
        try:
            output, name = self.holding.output, self._launch.name
            if not write_start(self.session.store, output, launch=name, attempt=self._attempt):
                return Done(1, "another launch has used the number of this attempt", cause="infra")
            done = self._run_own(slot, request, tell)
            if not done.has_failed or done.is_finished:
                done = self._when_all_have_ended(done)
        except CorruptStateError as error:
            raise self._left_to_age(error.what) from error
        except StoreError as error:  # of the start: the ranks may have been let go all the same
            done = Done(1, f"the ranks could not be started: {error.what}", cause="infra")
        if done.has_failed and not done.is_finished:
            done = self._stopped(done, request.log)
        return self._with_usage(done)

    def _run_own(self, slot: int, request: Request, tell: Callable[[str], None]) -> Done:
        over = threading.Event()
        watch = threading.Thread(target=self._end_with_ranks, args=(over,), daemon=True)
        watch.start()
        try:
            done = self.bodies.run(slot, request, tell)
        finally:
            over.set()
            watch.join()
        if not self._stops_own:
            hear_interrupt(done.exit_code, self.asked_to_end)
        return done

    def _end_with_ranks(self, over: threading.Event) -> None:
        """End our own part when a rank has failed: it may wait for that one for ever."""
        while True:
            if over.wait(self._pause):
                return
            try:
                ends = self._ends()
                if verdict(ends) is Verdict.FAILED:
                    break
            except CorruptStateError:
                ends = []
                break
            except StoreError:
                pass  # the next round looks again
        if _is_interruption(ends):
            interrupt_run()
            return
        self._stops_own = True
        self.bodies.signal(self.index, signal.SIGTERM)
        if not over.wait(GRACE):
            self.bodies.signal(self.index, signal.SIGKILL)

    def _when_all_have_ended(self, done: Done) -> Done:
        """Wait for the ranks; return how our own part ended, unless theirs say otherwise."""
        self._renewed = boot_clock()
        while True:
            try:
                ends = self._ends()
            except CorruptStateError:
                raise
            except StoreError:
                ends = [None]  # the next round looks again
            match verdict(ends):
                case Verdict.SUCCEEDED:
                    return done
                case Verdict.FAILED if _is_interruption(ends):
                    if not self.asked_to_end():
                        interrupt_run()
                case Verdict.FAILED:
                    self._stops_own = True
                    return Done(STOPPED, "stopped: another rank failed")
            if self.asked_to_end():
                return Done(STOPPED, INTERRUPTED)
            self._rest(self._pause)

    def _stopped(self, done: Done, log: str) -> Done:
        """Have all ranks stop; return why the attempt fails in view of how they ended.

        The ends of their logs are added to ours, the local file `log`.
        """
        step = self.session.targets.all[self.index].step
        message = self.session.redactor_of(step).clean_text(done.message)
        own = RankEnd(
            launch=self._launch.name,
            attempt=self._attempt,
            rank=0,
            exit_code=done.exit_code or 1,
            message=message,
            cause=done.cause,
            at=time.time(),
            was_stopped=self._stops_own or bool(self.asked_to_end()),
        )
        try:
            is_said = stop_ranks(
                self.session.store, self.holding.output, own, self._launch.others,
                clock=boot_clock, wait=self._rest, time_to_live=self.session.time_to_live,
            )  # fmt: skip
            ends = [own, *(end for end in self._ends() if end is not None and end.exit_code)]
        except StoreError as error:
            raise self._left_to_age(error.what) from error
        if not is_said:
            raise self._left_to_age(done.message)
        if self.asked_to_end():
            return done
        failed = [end for end in ends if not end.was_stopped] or ends
        failed.sort(key=lambda end: end.at)
        self._copy_last_words(failed, log)
        first = failed[0]
        return replace(
            done, exit_code=first.exit_code, message="; ".join(_told(failed)), cause=first.cause
        )

    def _copy_last_words(self, failed: Sequence[RankEnd], log: str) -> None:
        """Add the ends of the logs of ranks that failed to ours, the first one's at the end."""
        now = time.time()
        for end in reversed(failed[:_MOST_FAILED]):
            if not end.rank:
                continue
            path = layout.rank_log_path(self.holding.output, self._attempt, end.rank)
            with suppress(StoreError, OSError):
                add_line(log, f"rank {end.rank} failed; its log, `{path}`, ends with:", now)
                for line in self._last_lines(path):
                    add_line(log, line, now)

    def _last_lines(self, path: str) -> list[str]:
        if not is_url(path):
            return log_tail(path)
        blob = self.session.store.get(path)
        return last_lines(blob.data) if blob is not None else []

    def _rest(self, seconds: float) -> None:
        """Sleep, and see that the lease is renewed in time, whether or not the keeper has it.

        Raises:
            StoppedError: it was lost, or may be by now.

        """
        self.wait(seconds)
        now, life = boot_clock(), self.session.time_to_live
        if now < self._due:
            return
        try:
            is_ours = self.holding.renew(now, time.time())
        except StoreError:
            is_ours = now - self._renewed < life  # the next round tries again
        else:
            self._renewed, self._due = now, now + RENEW_EVERY * life / TIME_TO_LIVE
        if not is_ours:
            raise StoppedError(f"the lease on `{self.holding.target}` was lost")

    def _ends(self) -> list[RankEnd | None]:
        return read_ends(
            self.session.store,
            self.holding.output,
            launch=self._launch.name,
            attempt=self._attempt,
            ranks=self._launch.others,
        )

    def _with_usage(self, done: Done) -> Done:
        """Return an end with the CPU seconds of all ranks, and the memory of the largest."""
        with suppress(StoreError):
            ends = [end for end in self._ends() if end is not None]
            peaks = [done.peak_memory, *(end.peak_memory_bytes for end in ends)]
            seconds = [done.cpu_seconds, *(end.cpu_seconds for end in ends)]
            return replace(
                done,
                peak_memory=max((peak for peak in peaks if peak is not None), default=None),
                cpu_seconds=sum(each for each in seconds if each is not None),
            )
        return done

    def _left_to_age(self, why: str) -> StoppedError:
        return StoppedError(
            f"`{self.holding.target}` failed, and its ranks could not all be told: {why}",
            consequence="the lease is left to age, so that nothing is built beside them",
        )


def interrupt_run() -> None:
    """Have this run end as if its engine had asked it to: a leader is a process of its own."""
    os.kill(os.getpid(), signal.SIGTERM)


def _is_interruption(ends: Sequence[RankEnd | None]) -> bool:
    """Return whether ranks ended because their hosts were asked to end, and none failed.

    A host of a gang that is taken away interrupts the whole gang. It is no failure of the step.
    """
    failed = [end for end in ends if end is not None and end.exit_code]
    return bool(failed) and all(e.was_stopped and e.message == INTERRUPTED for e in failed)


def _told(failed: Sequence[RankEnd]) -> Iterator[str]:
    """Yield what each rank says of its failure, and how many more failed."""
    for end in failed[:_MOST_FAILED]:
        yield f"rank {end.rank}: {end.message or exited_with(end.exit_code)}"
    if (more := len(failed) - _MOST_FAILED) > 0:
        yield f"and {more} more"
