"""Supervisors, one a slot: threads that hold leases and wait for bodies."""

from __future__ import annotations

import queue
import signal
import threading
from contextlib import AbstractContextManager, nullcontext, suppress
from typing import TYPE_CHECKING

from marin_build.plan.outcomes import Failed
from marin_build.run_step.supervisor import build_target
from marin_build.run_step.workers import Ended, Lingers, Start

if TYPE_CHECKING:
    from marin_build.run_step.body import Bodies
    from marin_build.run_step.session import Session


_BUG = 3
_ENDING = 0.2
"""Seconds in which a thread that has nothing to do ends."""
_HEARING = 1.0
"""Seconds after which the waiting thread wakes, to handle signals that met another thread."""


class SupervisorPool:
    """Builds targets of one session, at most `jobs` at once."""

    def __init__(self, session: Session, bodies: Bodies, jobs: int) -> None:
        self._session = session
        self._bodies = bodies
        self._requests: queue.SimpleQueue[Start | None] = queue.SimpleQueue()
        self._ended: queue.SimpleQueue[Ended | Lingers | None] = (
            queue.SimpleQueue()
        )  # None: wake up
        self._asked_to_end: dict[int, str] = {}
        # A local store answers in microseconds: supervisors that take turns there are faster
        # than ones that fight for the interpreter at every call. A remote store is waited for.
        self._bookkeeping: AbstractContextManager[object] = (
            threading.Lock() if session.store.is_local else nullcontext()
        )
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

    def start(self, request: Start) -> None:
        """Begin to build a target."""
        self._requests.put(request)

    def wait(self, timeout: float | None) -> list[Ended | Lingers]:
        """Return what has ended, and what lingers."""
        due = self._bodies.tend()
        seconds = min(limit for limit in (timeout, due, _HEARING) if limit is not None)
        answers: list[Ended | Lingers | None] = []
        with suppress(queue.Empty):
            answers.append(self._ended.get(timeout=seconds))
            while not self._ended.empty():
                answers.append(self._ended.get_nowait())
        found = [answer for answer in answers if answer is not None]
        for each in found:
            if isinstance(each, Ended):
                self._asked_to_end.pop(each.index, None)
        return found

    def wake(self) -> None:
        """Make `wait` return. A SimpleQueue may be put to from a signal handler."""
        self._ended.put(None)

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
        while (request := self._requests.get()) is not None:
            try:
                outcome = build_target(
                    self._session,
                    request,
                    bodies=self._bodies,
                    slot=slot,
                    asked_to_end=lambda i=request.index: self._asked_to_end.get(i, ""),  # type: ignore[misc]
                    tell=lambda text, i=request.index: self._ended.put(Lingers(i, text)),  # type: ignore[misc]
                    bookkeeping=self._bookkeeping,
                )
            except BaseException as error:  # noqa: BLE001 - a lost answer would hang the run
                outcome = Failed(0, _BUG, f"{type(error).__name__}: {error}")
            self._ended.put(Ended(request.index, outcome))
