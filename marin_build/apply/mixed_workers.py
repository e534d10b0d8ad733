"""Targets built on this machine and by jobs of queues, in one run."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence

    from marin_build.apply.events import Event
    from marin_build.apply.queue_workers import QueueWorkers
    from marin_build.run_step.workers import Ended, Isolation, Lingers, Start


class MixedWorkers:
    """An `Isolation` that hands each target to one of several.

    Args:
        local: builds on this machine.
        queues: for each queue, the targets that its jobs build, and a function that makes their
            workers, which wake `local` when they have an answer.

    """

    def __init__(
        self,
        local: Isolation,
        queues: Sequence[tuple[Collection[int], Callable[[Callable[[], None]], QueueWorkers]]],
    ) -> None:
        self._local = local
        self._queues = [open_queue(local.wake) for _, open_queue in queues]
        self._builds: dict[int, QueueWorkers] = {}
        for (targets, _), workers in zip(queues, self._queues, strict=True):
            self._builds.update(dict.fromkeys(targets, workers))

    @property
    def is_spent(self) -> bool:
        """Whether nothing can be built here any more."""
        return self._local.is_spent

    def answer_to(self, hear: Callable[[Ended | Lingers], None]) -> None:
        """Have the workers of this machine call a function; `wait` returns what jobs answer."""
        self._local.answer_to(hear)

    def start(self, request: Start) -> None:
        """Begin to build a target; a queue submits what is ready together when `wait` is called."""
        if (workers := self._builds.get(request.index)) is None:
            self._local.start(request)
        else:
            workers.start(request)
            self.wake()

    def wait(self, timeout: float | None) -> list[Ended | Lingers]:
        """Return what has ended, and what lingers."""
        found = self._answers()
        return found or [*self._local.wait(timeout), *self._answers()]

    def _answers(self) -> list[Ended | Lingers]:
        return [answer for workers in self._queues for answer in workers.wait(0)]

    def wake(self) -> None:
        """Make `wait` return; safe in a signal handler."""
        self._local.wake()

    def terminate(self, index: int, *, kill: bool, why: str) -> None:
        """End a target's step, or its job."""
        self._of(index).terminate(index, kill=kill, why=why)

    def close(self) -> None:
        """End what runs here; jobs go on."""
        for workers in self._queues:
            workers.close()
        self._local.close()

    def _of(self, index: int) -> Isolation:
        return self._builds.get(index, self._local)


def one_at_a_time(on_event: Callable[[Event], None]) -> Callable[[Event], None]:
    """Return a function that passes events on, one after the other, though several threads call it.

    Steps of this machine are reported by the thread that built them, and jobs by another one.
    """
    lock = threading.Lock()

    def pass_on(event: Event) -> None:
        with lock:
            on_event(event)

    return pass_on
