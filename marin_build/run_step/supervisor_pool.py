"""Supervisors, one a slot: threads that hold leases and wait for bodies."""

from __future__ import annotations

import queue
import signal
import threading
from contextlib import AbstractContextManager, nullcontext, suppress
from typing import TYPE_CHECKING

from marin_build.plan.outcomes import Failed
from marin_build.run_step.bookkeeping import Bookkeeping, Turns
from marin_build.run_step.supervisor import build_target
from marin_build.run_step.workers import Ended, Lingers, Start

if TYPE_CHECKING:
    from collections.abc import Callable

    from marin_build.plan.outcomes import Outcome
    from marin_build.run_step.body import Bodies
    from marin_build.run_step.session import Session


_BUG = 3
_ENDING = 0.2
"""Seconds in which a thread that has nothing to do ends."""
_HEARING = 1.0
"""Seconds after which the waiting thread wakes, to handle signals that met another thread."""


class SupervisorPool:
    """Builds targets of one session, at most `jobs` at once.

    A supervisor whose answer is heard in its own thread builds the target that is started then.
    """

    def __init__(self, session: Session, bodies: Bodies, jobs: int) -> None:
        self._session = session
        self._bodies = bodies
        self._requests: queue.SimpleQueue[Start | None] = queue.SimpleQueue()
        self._answers: queue.SimpleQueue[Ended | Lingers | None] = (
            queue.SimpleQueue()
        )  # None: wake up
        self._hear: Callable[[Ended | Lingers], None] = self._answers.put
        self._here = _Thread()
        self._asked_to_end: dict[int, str] = {}
        # A local store answers in microseconds: supervisors that take turns there are faster
        # than ones that fight for the interpreter at every call. A remote store is waited for.
        self._turns = Turns() if session.store.is_local and jobs > 1 else None
        self._threads = [
            threading.Thread(target=self._supervise, args=(slot,), daemon=True)
            for slot in range(jobs)
        ]
        for thread in self._threads:
            thread.start()

    @property
    def is_spent(self) -> bool:
        """Whether no body can be run any more."""
        return self._bodies.is_spent

    def answer_to(self, hear: Callable[[Ended | Lingers], None]) -> None:
        """Have supervisors call a function with their answers."""
        self._hear = hear

    def start(self, request: Start) -> None:
        """Begin to build a target: in this thread, if that is a supervisor without one."""
        self._asked_to_end.pop(request.index, None)  # that was an earlier try
        if self._here.is_free:
            self._here.is_free, self._here.next = False, request
        else:
            self._requests.put(request)

    def wait(self, timeout: float | None) -> list[Ended | Lingers]:
        """Return what has ended, and what lingers, if nothing else hears that."""
        due = self._bodies.tend()
        seconds = min(limit for limit in (timeout, due, _HEARING) if limit is not None)
        answers: list[Ended | Lingers | None] = []
        with suppress(queue.Empty):
            answers.append(self._answers.get(timeout=seconds))
            while not self._answers.empty():
                answers.append(self._answers.get_nowait())
        return [answer for answer in answers if answer is not None]

    def wake(self) -> None:
        """Make `wait` return. A SimpleQueue may be put to from a signal handler."""
        self._answers.put(None)

    def terminate(self, index: int, *, kill: bool, why: str) -> None:
        """Signal a step's body."""
        self._asked_to_end.setdefault(index, why)
        self._bodies.signal(index, signal.SIGKILL if kill else signal.SIGTERM)

    def close(self) -> None:
        """End what runs, and the threads that have nothing to do."""
        for _ in self._threads:
            self._requests.put(None)
        self._bodies.close()
        if not self._asked_to_end:  # else one may wait for a body that does not end
            for thread in self._threads:
                thread.join(_ENDING)  # this process may fork again, best without threads
        self._session.close()

    def _supervise(self, slot: int) -> None:
        here = self._here
        turn = None
        if self._turns is not None:
            turn = Bookkeeping(self._turns, keeps=self._bodies.are_in_threads)
        while (request := here.next or self._requests.get()) is not None:
            outcome = self._build(slot, request, turn or nullcontext())
            here.is_free, here.next = True, None
            self._hear(Ended(request.index, outcome))
            here.is_free = False
            if turn is not None:
                turn.step_over(goes_on=here.next is not None)

    def _build(
        self, slot: int, request: Start, bookkeeping: AbstractContextManager[object]
    ) -> Outcome:
        index = request.index
        try:
            return build_target(
                self._session,
                request,
                bodies=self._bodies,
                slot=slot,
                asked_to_end=lambda: self._asked_to_end.get(index, ""),
                tell=lambda text: self._hear(Lingers(index, text)),
                bookkeeping=bookkeeping,
            )
        except BaseException as error:  # noqa: BLE001 - a lost answer would hang the run
            return Failed(0, _BUG, f"{type(error).__name__}: {error}")


class _Thread(threading.local):
    """What a supervisor's thread does next."""

    is_free = False
    """Whether it builds nothing, and has nothing to build next."""
    next: Start | None = None
    """What it builds next."""
