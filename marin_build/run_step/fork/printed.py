"""What a running body prints: the pipe that brings it, and the log that keeps it."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from marin_build.run_step.fork.children import Poller
    from marin_build.run_step.step_log import StepLog


_BLOCK = 1 << 16
_LAST_BLOCKS = 64
"""Blocks that are still read of a body that ended: as much as any pipe holds."""


class Printed:
    """Reads a pipe into a log, a block whenever there is something.

    Args:
        pipe: its end to read from, which does not block.
        log: takes what is read.
        poller: tells when there is something.

    """

    def __init__(self, pipe: int, log: StepLog, poller: Poller) -> None:
        self._pipe, self.log, self._poller = pipe, log, poller
        poller.watch(pipe, self._read)

    def pause(self) -> None:
        """Read nothing until `go_on` or `end`: who prints more than a pipe holds waits for that."""
        if self._pipe >= 0:
            self._poller.pause(self._pipe)

    def go_on(self) -> None:
        """Read what is printed as it comes."""
        if self._pipe >= 0:
            self._poller.go_on(self._pipe)

    def end(self, said: str = "") -> None:
        """Read the rest, which is all there if nothing prints any more, and close pipe and log.

        Args:
            said: what the log says after it.

        """
        for _ in range(_LAST_BLOCKS):
            if self._pipe < 0 or not self._read():
                break
        self._close()
        if said:
            self.log.write(f"{said}\n".encode())
        self.log.close()

    def _read(self) -> bool:
        """Read a block; return whether there was one."""
        try:
            data = os.read(self._pipe, _BLOCK)
        except BlockingIOError:
            return False
        if not data:  # all that could print has ended, or closed its end
            self._close()
            return False
        self.log.write(data)
        return True

    def _close(self) -> None:
        if self._pipe >= 0:
            self._poller.forget(self._pipe)
            os.close(self._pipe)
            self._pipe = -1
