"""The children of the template that wait for a body to run, at most one for each slot.

A child is forked where a body has ended, while the applier still commits what that left, so that
the next body need not wait for a fork. It takes one body, or as a "worker" one after the other.
"""

from __future__ import annotations

import os
import select
import socket
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from marin_build.run_step.fork.child import PACKET, Child

if TYPE_CHECKING:
    import io
    from collections.abc import Callable, Sequence

    from marin_build.run_step.session import Session


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
        self._session, self._limit, self._reuse = session, limit, reuse
        self._early = early
        self._poller, self._set_free = poller, set_free
        self._waiting: dict[socket.socket, _Waiting] = {}  # by slot
        self._bare: set[socket.socket] = set()

    @property
    def pids(self) -> list[int]:
        """The processes that can still be given orders."""
        return [child.pid for child in self._waiting.values()]

    def hand_over(self, slot: socket.socket, packet: bytes, pipe: int, *, alone: bool) -> int:
        """Give a request to the child of a slot, or to a new one; return its process.

        Args:
            slot: takes the answers.
            packet: the request.
            pipe: takes what the body prints.
            alone: the child must not have run anything before, nor run anything after.

        Raises:
            OSError: no process can be started.

        """
        self._bare.discard(slot)
        once = alone or not self._reuse
        if once and self._reuse:
            self._dismiss(slot)
        while True:
            child = self._waiting.get(slot) or self._fork(slot, once=once)
            try:
                socket.send_fds(child.orders, [packet], [pipe])
            except OSError:  # it died meanwhile
                self._dismiss(slot)
            else:
                break
        if once:
            self._dismiss(slot)
        return child.pid

    def has_ended(self, slot: socket.socket) -> None:
        """Take note that the body of a slot ended."""
        if not self._reuse:
            self._bare.add(slot)

    def fork_ahead(self) -> None:
        """Have a child ready in each slot whose body ended."""
        while self._bare:
            with suppress(OSError):  # too many processes: the next request reports it
                self._fork(self._bare.pop(), once=True)

    def forget(self, pid: int) -> None:
        """Give no more orders to a process that is gone."""
        for slot, child in list(self._waiting.items()):
            if child.pid == pid:
                self._dismiss(slot)

    def _fork(self, slot: socket.socket, *, once: bool) -> _Waiting:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        ours.setblocking(False)
        child = Child(self._session, slot, os.getpid(), self._limit, self._early)
        try:
            pid = os.fork()
        except OSError:
            ours.close()
            theirs.close()
            raise
        if pid == 0:
            ours.close()
            self._poller.close_all_but(slot.fileno())
            child.work(theirs, once=once)
        theirs.close()
        waiting = self._waiting[slot] = _Waiting(pid, ours)
        self._poller.watch(ours.fileno(), lambda: self._hear(slot, waiting))
        return waiting

    def _hear(self, slot: socket.socket, child: _Waiting) -> None:
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
            self._dismiss(slot)

    def _dismiss(self, slot: socket.socket) -> None:
        """Give no more orders to the child of a slot, if there is one: it ends when it is done."""
        if (child := self._waiting.pop(slot, None)) is not None:
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

    def close_all_but(self, descriptor: int) -> None:
        """Close what is watched, in a child that has no use for it, but for one."""
        for each in self._on:
            if each != descriptor:
                os.close(each)
