"""The loop between the schedule and the workers that build its targets.

    a worker's thread --- "it ended so" ---> settle, start what can start -+
        ^------------ the next target to build in this very thread --------+
    the thread of `run`: what is due by time, until the end

The thread that has built a target settles it and takes the next one itself: to hand a step over to
another thread, and back, takes longer than most of what is done for it. Only workers without
threads of their own, like the queue of an engine, answer to the thread of `run`. One lock guards
the books, and so the order of the events.
"""

from __future__ import annotations

import math
import threading
import time
from collections import deque
from typing import TYPE_CHECKING

from marin_build.apply.deadlines import GRACE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from marin_build.apply.books import Books
    from marin_build.apply.timeline import Timeline
    from marin_build.run_step.workers import Ended, Isolation, Lingers


GRACE_AFTER_KILL = 2.0
"""Seconds to wait for the end of what was killed; then its leases are left to go stale."""
GRACE_OF_GANG = 15.0
"""The same where a gang builds: its ranks on other hosts end first. With GRACE, it is less than the
30 s after which Slurm, by default, kills what it has asked to end."""


class BuildLoop:
    """Builds the targets of a schedule, and says what happens.

    Targets may be added while it runs, by another thread, if it is open.

    Args:
        books: of the run; the loop alone uses them while it runs.
        isolation: what they have targets built by.
        is_open: whether it waits for more targets until it is closed.
        tend: called by the thread of `run` with the seconds of the monotonic clock, each time that
            it wakes; returns when to call it at the latest, or None: whenever that is.
        deliver: the same, while other threads go on: it may take its time.
        grace_after_kill: seconds to wait for the end of what was killed.

    """

    def __init__(
        self,
        books: Books,
        isolation: Isolation,
        *,
        is_open: bool = False,
        tend: Callable[[float], float | None] = lambda _now: None,
        deliver: Callable[[float], float | None] = lambda _now: None,
        grace_after_kill: float = GRACE_AFTER_KILL,
    ) -> None:
        self._lock = threading.Lock()
        self._books = books
        self._isolation = isolation
        self._tend, self._deliver = tend, deliver
        self._tend_at = math.inf
        self._grace_after_kill = grace_after_kill
        self._added: deque[tuple[int, Iterable[int]]] = deque()
        self._is_open = is_open
        self._is_over = False
        self._error: BaseException | None = None  # of a worker's thread, for the thread of `run`
        self._sleeps_until = math.inf  # the thread of `run`

    def run(self) -> None:
        """Build everything that can be built."""
        self._books.open()
        self._isolation.answer_to(self._hear)
        try:
            answers: Sequence[Ended | Lingers] = ()
            while (due := self._go_on(answers)) is not None:
                answers = self._wait(due)
            if self._books.must_end:
                self._end_what_runs()
        finally:
            with self._lock:
                self._is_over = True

    def _go_on(self, answers: Iterable[Ended | Lingers]) -> float | None:
        """Settle answers, do what is due, and start what can start.

        Returns:
            When more is due, infinite if nothing is; None: it is over, or must end.

        """
        with self._lock:
            self._take_in(answers)
            self._books.do_what_is_due()
            if self._books.must_end or not self._goes_on():
                return None
            self._sleeps_until = min(self._books.next_due, self._tend_at)
            return self._sleeps_until

    def _wait(self, until: float) -> Sequence[Ended | Lingers]:
        """Have what happened shown, without the lock; return answers, waiting for some till then.

        What shows it may be slow: steps end and start meanwhile.
        """
        again = self._deliver(time.monotonic())
        if again is not None:
            until = min(until, again)
        seconds = max(0.0, until - time.monotonic())
        return self._isolation.wait(None if seconds == math.inf else seconds)

    def _take_in(self, answers: Iterable[Ended | Lingers]) -> None:
        """Settle answers, in the thread of `run`; raise what another thread met meanwhile."""
        if self._error is not None:
            raise self._error
        for answer in answers:
            self._books.settle(answer)
        again = self._tend(time.monotonic())
        self._tend_at = math.inf if again is None else again

    def _hear(self, answer: Ended | Lingers) -> None:
        """Settle an answer and start what can start now, in the thread of the worker that calls."""
        books = self._books
        with self._lock:
            if self._is_over:
                return  # nobody waits for it any more
            try:
                books.settle(answer)
                books.start_ready()
            except BaseException as error:  # noqa: BLE001 - the thread of `run` raises it
                books.is_stopped = True
                self._error = error if self._error is None else self._error
            if (
                self._error is not None
                or books.must_end
                or not (books.in_flight or self._is_open)
                or books.next_due < self._sleeps_until
            ):
                self._isolation.wake()

    def add(self, index: int, needs: Iterable[int]) -> None:
        """Have a target built, too, after what it needs, which was added before."""
        self._added.append((index, needs))
        self._isolation.wake()

    def close(self) -> None:
        """Say that no more targets are added: `run` returns when the last one has ended."""
        self._is_open = False
        self._isolation.wake()

    def stop(self) -> None:
        """Start nothing more: `run` returns when what runs now has ended."""
        self._books.is_stopped = True
        self.close()

    def interrupt(self) -> None:
        """Ask the run and its running steps to end; a second call kills these.

        A signal handler may call it at any time: it only counts the call and wakes the loop.
        """
        self._books.interrupts += 1
        self._isolation.wake()

    @property
    def was_interrupted(self) -> bool:
        """Whether `interrupt` was called."""
        return self._books.interrupts > 0

    @property
    def timeline(self) -> Timeline:
        """The slots of the run, and the times of its targets."""
        return self._books.timeline

    @property
    def seconds(self) -> float:
        """The seconds since it began."""
        return self._books.seconds

    def _goes_on(self) -> bool:
        """Start what can start; return whether anything runs, or may start later."""
        is_open = self._is_open  # read first: what was added before `close` is not missed
        while self._added:
            self._books.add(*self._added.popleft())
        return self._books.start_ready() or self._books.in_flight or is_open

    def _end_what_runs(self) -> None:
        """Ask what runs to end; kill it after the grace period, or at one more interrupt."""
        books = self._books
        with self._lock:
            heard = books.interrupts
            books.end_all()
        if self._drain(GRACE, lambda: books.interrupts > bool(heard)):
            return
        with self._lock:
            books.kill_all()
        self._drain(self._grace_after_kill, lambda: False)

    def _drain(self, seconds: float, give_up: Callable[[], bool]) -> bool:
        """Wait until nothing runs; return False if time ran out, or `give_up` says so."""
        deadline = time.monotonic() + seconds
        answers: Sequence[Ended | Lingers] = ()
        while True:
            with self._lock:
                self._take_in(answers)
                if not self._books.is_running:
                    return True
                if time.monotonic() >= deadline or give_up():
                    return False
            answers = self._wait(min(deadline, self._tend_at))
