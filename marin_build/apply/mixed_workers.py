"""Targets built on this machine and by jobs of a queue, in one run."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from marin_build.apply.queue_workers import QueueWorkers
    from marin_build.run_step.workers import Ended, Isolation, Lingers, Start


class MixedWorkers:
    """An `Isolation` that hands each target to one of two.

    Args:
        local: builds on this machine.
        queued: which targets jobs build.
        open_queue: makes their workers, which wake `local` when they have an answer.

    """

    def __init__(
        self,
        local: Isolation,
        queued: Collection[int],
        open_queue: Callable[[Callable[[], None]], QueueWorkers],
    ) -> None:
        self._local = local
        self._queued = queued
        self._queue = open_queue(local.wake)

    @property
    def is_spent(self) -> bool:
        """Whether nothing can be built here any more."""
        return self._local.is_spent

    def start(self, request: Start) -> None:
        """Begin to build a target."""
        self._of(request.index).start(request)

    def wait(self, timeout: float | None) -> list[Ended | Lingers]:
        """Return what has ended, and what lingers."""
        found: list[Ended | Lingers] = [*self._queue.wait(0)]
        return found or [*self._local.wait(timeout), *self._queue.wait(0)]

    def wake(self) -> None:
        """Make `wait` return; safe in a signal handler."""
        self._local.wake()

    def terminate(self, index: int, *, kill: bool, why: str) -> None:
        """End a target's step, or its job."""
        self._of(index).terminate(index, kill=kill, why=why)

    def close(self) -> None:
        """End what runs here; jobs go on."""
        self._queue.close()
        self._local.close()

    def _of(self, index: int) -> Isolation:
        return self._queue if index in self._queued else self._local
