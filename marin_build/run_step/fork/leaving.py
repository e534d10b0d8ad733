"""What a body has left when it ended: waited for, named, and killed."""

from __future__ import annotations

import os
import signal
import time
from contextlib import suppress
from typing import TYPE_CHECKING

from marin_build.protocol.living_work import Process, command_of
from marin_build.run_step.leftover_processes import (
    LINGER,
    kill_tree,
    leftovers_of,
    orphans_of,
    tree_of,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from marin_build.run_step.body import Request


class Leaving:
    """What a body has left.

    Args:
        session: the body's process, which led a session.
        request: what it was run with.
        usage: its wait status, CPU seconds and peak memory.
        detached: names of programs that its step declares as helpers.
        asked: whether the run asked it to end. What it started then has the grace period, too: the
            applier says when that is over.

    """

    def __init__(
        self,
        session: int,
        request: Request,
        usage: tuple[int, float, int],
        detached: Sequence[str],
        *,
        asked: bool,
    ) -> None:
        self._session, self._request, self._detached = session, request, detached
        self.usage = usage
        self._ended_by_itself = not os.WIFSIGNALED(usage[0]) and not asked
        self._left: list[int] = []
        self.said = ""
        """For the log: what was killed."""
        self.refused = ""
        """For the failure: what was killed that no step may leave."""
        self._deadline: float | None = time.monotonic() + LINGER
        if asked:
            self._deadline = None
        if os.WIFSIGNALED(usage[0]) and not (asked and os.WTERMSIG(usage[0]) != signal.SIGKILL):
            self._deadline = 0.0  # it was killed, or crashed

    @property
    def due(self) -> float | None:
        """The seconds until what is left is to be killed; None: that is not known yet."""
        if self._deadline is None or self.said:
            return None
        return max(self._deadline - time.monotonic(), 0.001)

    def signal(self, number: int) -> None:
        """Pass a signal of the applier on."""
        if number == signal.SIGKILL:
            self._deadline = 0.0
        for root in self._left:
            with suppress(ProcessLookupError, PermissionError):
                os.kill(root, number)

    def has_gone(self, strangers: Sequence[int]) -> bool:
        """Return whether nothing is left; kill what is, when its time is over.

        Args:
            strangers: children of this process that it did not fork itself.

        """
        request = self._request
        self._left = orphans_of(self._session, request.nonce, request.log, strangers)
        if not self._left:
            return True
        if self._deadline is not None and time.monotonic() >= self._deadline:
            self._say()
            for root in self._left:
                kill_tree(root)
        return False

    def _say(self) -> None:
        if self.said:
            return
        found = [Process(pid, command_of(pid)) for root in self._left for pid in tree_of(root)]
        told = leftovers_of(found, self._detached)
        self.said = told.said
        self.refused = told.refused if self._ended_by_itself else ""
