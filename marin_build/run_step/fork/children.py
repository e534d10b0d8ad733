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
    from collections.abc import Callable, Sequence

    from marin_build.run_step.session import Session


_IN_A_ROW = 4
"""Children that are forked beyond those that idle slots may need at once."""
_MANY = 256
"""Forks after which it is worth while to make each fork cheaper."""
_SHORT = 0.2
"""Seconds: a body that took less is followed by others soon."""


@dataclass(frozen=True, slots=True)
class _Waiting:
    """A child, and the socket that takes its orders."""

    pid: int
    orders: socket.socket


class Children:
    """Forks the children of the template, and gives them orders.

    Args:
        session: the run.
        limit: how many files a body may have open.
        reuse: whether they take one body after the other.
        poller: watches over them.
        early: files that were open before there were children.
        set_free: called with the process id of a worker that waits for the next body.

    """

    def __init__(
        self,
        session: Session,
        *,
        limit: int,
        reuse: bool,
        poller: Poller,
        early: Sequence[io.IOBase],
        set_free: Callable[[int], None],
    ) -> None:
        _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        self._child = Child(session, os.getpid(), (limit, hard), early)
        self._reuse, self._poller, self._set_free = reuse, poller, set_free
        self._workers: dict[socket.socket, _Waiting] = {}  # by slot
        self._fresh: deque[_Waiting] = deque()
        self._idle = 0  # slots whose body has ended and that have no other yet
        self._in_a_row = 0
        self._forks = 0

    @property
    def pids(self) -> list[int]:
        """The processes that can still be given orders."""
        return [child.pid for child in (*self._workers.values(), *self._fresh)]

    def hand_over(self, slot: socket.socket, packet: bytes, pipe: int, *, alone: bool) -> int:
        """Give a request to the worker of a slot, or to a fresh child; return its process.

        Args:
            slot: takes the answers.
            packet: the request.
            pipe: takes what the body prints.
            alone: the child must not have run anything before, nor run anything after.

        Raises:
            OSError: no process can be started.

        """
        self._idle = max(0, self._idle - 1)
        channel = slot.fileno()
        if not alone:
            return self._hand_to_worker(slot, packet, pipe, channel)
        if (worker := self._workers.pop(slot, None)) is not None:
            self._let_go(worker)
        while True:
            child = self._fresh.popleft() if self._fresh else self._fork()
            try:
                send_order(child.orders, packet, pipe, channel)
            except OSError:  # it died meanwhile
                continue
            finally:
                self._let_go(child)
            return child.pid

    def _hand_to_worker(self, slot: socket.socket, packet: bytes, pipe: int, channel: int) -> int:
        while True:
            worker = self._workers.get(slot) or self._fork(slot)
            try:
                send_order(worker.orders, packet, pipe, channel)
            except OSError:  # it died meanwhile
                self._dismiss(worker)
            else:
                return worker.pid

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
                self._fresh.append(self._fork())
                self._forks += 1
                if self._forks == _MANY:
                    use_huge_pages()

    def forget(self, pid: int) -> None:
        """Give no more orders to a process that is gone."""
        for child in (*self._workers.values(), *self._fresh):
            if child.pid == pid:
                self._dismiss(child)

    def _fork(self, slot: socket.socket | None = None) -> _Waiting:
        """Fork a child: the worker of a slot, or one for any slot."""
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
            self._child.work(theirs, once=slot is None)
        theirs.close()
        child = _Waiting(pid, ours)
        if slot is not None:
            self._workers[slot] = child
        self._poller.watch(ours.fileno(), lambda: self._hear(child))
        return child

    def _hear(self, child: _Waiting) -> None:
        """Take note that a worker has ended a body, or that a child is gone."""
        packet = b""
        try:
            packet = child.orders.recv(PACKET)
        except BlockingIOError:  # the descriptor was another's when it could be read
            return
        except ConnectionResetError:
            pass
        if packet:
            self._set_free(child.pid)
        else:
            self._dismiss(child)

    def _dismiss(self, child: _Waiting) -> None:
        """Give no more orders to a child: it ends when it is done."""
        if child in self._fresh:
            self._fresh.remove(child)
            self._let_go(child)
        for slot, worker in list(self._workers.items()):
            if worker is child:
                del self._workers[slot]
                self._let_go(child)

    def _let_go(self, child: _Waiting) -> None:
        self._poller.forget(child.orders.fileno())
        child.orders.close()


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
            if descriptor in self._on:  # a call before this one may have forgotten it
                self._on[descriptor]()

    def close_all(self) -> None:
        """Close what is watched, in a child that has no use for it."""
        for each in self._on:
            os.close(each)
