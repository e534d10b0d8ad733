"""The children of the template that wait for a body to run.

They are forked where bodies have ended, while the applier still commits what those left, so that
the next body need not wait for a fork. A child takes one body, or as a "worker" of a slot one after
the other.

After a fork, whatever the template writes to is first copied, or at least looked at by the kernel,
page by page. So where steps are short, it forks several children in a row, and pays for that once.
"""

from __future__ import annotations

import os
import resource
import select
import socket
from collections import deque
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from marin_build.run_step.fork.child import Child
from marin_build.run_step.fork.huge_pages import use_huge_pages
from marin_build.run_step.fork.messages import PACKET, send_order

if TYPE_CHECKING:
    import io
    from collections.abc import Callable, Iterable, Sequence

    from marin_build.run_step.session import Session


_IN_A_ROW = 4
"""Children that are forked beyond those that idle slots may need at once."""
_MANY = 256
"""Forks after which it is worth while to make each fork cheaper."""
_SHORT = 0.2
"""Seconds: a body that took less is followed by others soon."""


@dataclass(slots=True, eq=False)
class _Forked:
    """A child, and the socket that takes its orders and brings its answers, until it is silent."""

    pid: int
    orders: socket.socket
    is_silent: bool = False


class Children:
    """Forks the children of the template, and gives them orders.

    Args:
        session: the run.
        limit: how many files a body may have open.
        reuse: whether they take one body after the other.
        poller: watches over them.
        early: files that were open before there were children.
        hear: called with the process id of a child and a packet that it sent.

    """

    def __init__(
        self,
        session: Session,
        *,
        limit: int,
        reuse: bool,
        poller: Poller,
        early: Sequence[io.IOBase],
        hear: Callable[[int, bytes], None],
    ) -> None:
        _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        self._child = Child(session, os.getpid(), (limit, hard), early)
        self._reuse, self._poller, self._pass_on = reuse, poller, hear
        self._all: dict[int, _Forked] = {}  # by process
        self._workers: dict[socket.socket, _Forked] = {}  # by slot
        self._fresh: deque[_Forked] = deque()
        self._idle = 0  # slots whose body has ended and that have no other yet
        self._in_a_row = 0
        self._forks = 0

    @property
    def pids(self) -> Iterable[int]:
        """The processes that have not been forgotten."""
        return self._all

    def hand_over(self, slot: socket.socket, packet: bytes, pipe: int, *, alone: bool) -> int:
        """Give a request to the worker of a slot, or to a fresh child; return its process.

        Args:
            slot: where the request came from.
            packet: the request.
            pipe: takes what the body prints.
            alone: the child must not have run anything before, nor run anything after.

        Raises:
            OSError: no process can be started.

        """
        self._idle = max(0, self._idle - 1)
        if alone and (worker := self._workers.pop(slot, None)) is not None:
            self.forget(worker.pid)  # its socket closes, and so it ends
        while True:
            child = self._fresh_one() if alone else self._worker_of(slot)
            try:
                send_order(child.orders, packet, pipe)
            except OSError:  # it died meanwhile
                self.forget(child.pid)
            else:
                return child.pid

    def _fresh_one(self) -> _Forked:
        return self._fresh.popleft() if self._fresh else self._fork(once=True)

    def _worker_of(self, slot: socket.socket) -> _Forked:
        if slot not in self._workers:
            self._workers[slot] = self._fork(once=False)
        return self._workers[slot]

    def has_ended(self, seconds: float) -> None:
        """Take note that a body ended which took so long."""
        self._idle += 1
        self._in_a_row = _IN_A_ROW if seconds < _SHORT else 0

    def fork_ahead(self) -> None:
        """Have a fresh child ready for each slot whose body ended."""
        if self._reuse or len(self._fresh) >= self._idle:
            return
        with suppress(OSError):  # too many processes: the next request reports it
            for _ in range(self._idle - len(self._fresh) + self._in_a_row):
                self._fresh.append(self._fork(once=True))
                self._forks += 1
                if self._forks == _MANY:
                    use_huge_pages()

    def renew(self) -> None:
        """Have those end that wait for a body: this process has become another one since."""
        for child in tuple(self._fresh):
            self.forget(child.pid)  # its socket closes, and so it ends

    def hear_no_more(self, pid: int) -> None:
        """Take note that a child has said its last word: it is about to end."""
        if (child := self._all.get(pid)) is not None and not child.is_silent:
            child.is_silent = True
            self._poller.pause(child.orders.fileno())

    def forget(self, pid: int) -> None:
        """Hear the last words of a child, and give it no more orders."""
        if (child := self._all.get(pid)) is None:
            return
        while self._hear(child):
            pass
        del self._all[pid]
        if child in self._fresh:
            self._fresh.remove(child)
        for slot in [slot for slot, worker in self._workers.items() if worker is child]:
            del self._workers[slot]
        self._poller.forget(child.orders.fileno())
        child.orders.close()

    def _fork(self, *, once: bool) -> _Forked:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        ours.setblocking(False)
        try:
            pid = os.fork()
        except OSError:
            ours.close()
            theirs.close()
            raise
        if pid == 0:
            ours.close()
            self._poller.close_all()
            self._child.work(theirs, once=once)
        theirs.close()
        child = self._all[pid] = _Forked(pid, ours)
        self._poller.watch(ours.fileno(), lambda: self._hear(child))
        return child

    def _hear(self, child: _Forked) -> bool:
        """Take the next packet of a child; return whether there was one."""
        if child.is_silent:
            return False
        try:
            packet = child.orders.recv(PACKET)
        except BlockingIOError:
            return False
        except ConnectionResetError:
            packet = b""
        if packet:
            self._pass_on(child.pid, packet)
            return True
        self.hear_no_more(child.pid)
        return False


class Poller:
    """Watches descriptors for one thread."""

    def __init__(self) -> None:
        self._poll = select.poll()
        self._on: dict[int, Callable[[], object]] = {}

    def watch(self, descriptor: int, follow: Callable[[], object]) -> None:
        """Have something called whenever a descriptor can be read, or its other end is gone."""
        self._poll.register(descriptor, select.POLLIN)
        self._on[descriptor] = follow

    def pause(self, descriptor: int) -> None:
        """Call nothing for a descriptor until `go_on`."""
        with suppress(KeyError):  # it pauses already
            self._poll.unregister(descriptor)

    def go_on(self, descriptor: int) -> None:
        """Watch a descriptor again."""
        self._poll.register(descriptor, select.POLLIN)

    def forget(self, descriptor: int) -> None:
        """Watch a descriptor no longer; it is not closed."""
        self.pause(descriptor)
        del self._on[descriptor]

    def wait(self, milliseconds: int | None) -> None:
        """Wait until one can be read, at most so long, and call what belongs to each that can."""
        for descriptor, _ in self._poll.poll(milliseconds):
            if descriptor in self._on:  # a call before this one may have forgotten it
                self._on[descriptor]()

    def close_all(self) -> None:
        """Close what is watched, in a child that has no use for it."""
        for each in self._on:
            os.close(each)
