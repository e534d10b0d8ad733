"""Who is called when a descriptor can be read."""

from __future__ import annotations

import os
import select
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


class Poller:
    """Watches descriptors for one thread."""

    def __init__(self) -> None:
        self._poll = select.poll()
        self._on: dict[int, Callable[[], object]] = {}

    def watch(self, descriptor: int, follow: Callable[[], object]) -> None:
        """Have something called whenever a descriptor can be read, or its other end is gone."""
        self._poll.register(descriptor, select.POLLIN)
        self._on[descriptor] = follow

    def forget(self, descriptor: int) -> None:
        """Watch a descriptor no longer; it is not closed."""
        self._poll.unregister(descriptor)
        del self._on[descriptor]

    def wait(self, milliseconds: int | None) -> None:
        """Wait until one can be read, at most so long, and call what belongs to each that can."""
        for descriptor, _ in self._poll.poll(milliseconds):
            if descriptor in self._on:  # who was called before may have forgotten it
                self._on[descriptor]()

    def close_all_but(self, descriptor: int) -> None:
        """Close what is watched, in a child that has no use for it, but for one."""
        for each in self._on:
            if each != descriptor:
                os.close(each)
