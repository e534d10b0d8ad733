"""A command whose step is a thread: it gets a session, a log and a mark of its own.

So it can be signalled, and found again, apart from the process that its step shares with others.
"""

from __future__ import annotations

import fcntl
import os
import signal
import threading
from contextlib import contextmanager, suppress
from functools import partial
from typing import TYPE_CHECKING

from marin_build.pipeline.command_process import OwnSession, own_session
from marin_build.protocol.living_work import MARK, living_work
from marin_build.run_step.leftover_processes import Leftovers, end_leftovers
from marin_build.workspace.own_files import open_own

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from marin_build.run_step.body import Request


_BLOCK = 1 << 16
_open: set[int] = set()
"""Descriptors that what this process forks must not keep: only the command is to have them."""


def _close_in_child() -> None:
    for descriptor in _open:
        with suppress(OSError):
            os.close(descriptor)
    _open.clear()


os.register_at_fork(after_in_child=_close_in_child)


class CommandSession:
    """The session of one command.

    Args:
        request: what its step is run with.
        write: takes what the command prints.

    """

    def __init__(self, request: Request, write: Callable[[bytes], None]) -> None:
        self._request, self._write = request, write
        self._leader = 0

    def signal(self, number: int) -> None:
        """Signal the command and what it started."""
        if self._leader:
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(self._leader, signal.Signals(number))

    @contextmanager
    def open(self) -> Iterator[None]:
        """Have this thread run its command in the session."""
        log = open_own(self._request.log, os.O_RDWR | os.O_CREAT | os.O_APPEND)
        self._source, output = os.pipe()
        ends = {log, output}
        _open.update(ends, {self._source})
        fcntl.flock(log, fcntl.LOCK_EX)
        os.lseek(log, 0, os.SEEK_END)
        self._copy = threading.Thread(target=self._copy_output, daemon=True)
        self._copy.start()
        mark = {MARK: self._request.nonce}
        token = own_session.set(OwnSession(log, output, mark, self._has_begun))
        try:
            yield
        finally:
            own_session.reset(token)
            for end in ends:
                _open.discard(end)
                os.close(end)

    def end(self, detached: Sequence[str]) -> Leftovers:
        """Wait for what the command left, or kill it; return what there is to tell.

        Args:
            detached: names of programs that its step declares.

        """
        left = Leftovers()
        if self._leader:
            find = partial(living_work, self._request.nonce, self._request.log)
            left = end_leftovers(find, detached)
        self._copy.join()
        return left

    def _has_begun(self, leader: int) -> None:
        self._leader = leader

    def _copy_output(self) -> None:
        """Copy what is printed into the log until nothing has the pipe open any more."""
        while block := os.read(self._source, _BLOCK):
            self._write(block)
        _open.discard(self._source)
        os.close(self._source)
