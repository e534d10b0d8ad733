"""The warm process: forks bodies, takes what they print, reaps them, hands leases to the keeper."""

from __future__ import annotations

import gc
import math
import os
import signal
import time
from contextlib import suppress
from typing import TYPE_CHECKING, NoReturn

from marin_build.pipeline.command_process import stdin_inherited
from marin_build.protocol.lease import boot_clock
from marin_build.run_step.body import Done, Request
from marin_build.run_step.fork.child import own_streams
from marin_build.run_step.fork.children import Children, Poller
from marin_build.run_step.fork.guard import ignore_signals
from marin_build.run_step.fork.leaving import Leaving
from marin_build.run_step.fork.messages import PACKET, ended, packed_done, unpack
from marin_build.run_step.fork.printed import Printed
from marin_build.run_step.fork.shared_imports import share
from marin_build.run_step.fork.template_body import Body
from marin_build.run_step.interpreter_end import forget_parent
from marin_build.run_step.lease_keeper import Keeper
from marin_build.run_step.leftover_processes import (
    OwnChildren,
    adopt_orphans,
    kill_children,
    signal_group,
)
from marin_build.run_step.step_log import StepLog

if TYPE_CHECKING:
    import io
    import socket
    from collections.abc import Sequence

    from marin_build.run_step.session import Session


RELEASE = 0
"""Stands for a signal: the target's lease need not be kept any more."""


def serve(
    session: Session,
    control: socket.socket,
    slots: Sequence[socket.socket],
    leash: socket.socket,
    early: Sequence[io.IOBase],
    *,
    limit: int,
    reuse: bool,
) -> None:
    """Be the template until the applier closes its sockets, or it or the guard dies.

    Args:
        session: the run.
        control: where signals and releases come from.
        slots: where requests come from, and answers go to; a body at a time each.
        leash: closes when the guard dies.
        early: files that were open before there were children.
        limit: how many files a body may have open.
        reuse: whether a child runs all bodies of a slot, not one.

    """
    _Template(session, control, early, limit=limit, reuse=reuse).serve(slots, leash)


class _Template:
    def __init__(
        self,
        session: Session,
        control: socket.socket,
        early: Sequence[io.IOBase],
        *,
        limit: int,
        reuse: bool,
    ) -> None:
        self._session, self._reuse = session, reuse
        self._control = control
        self._adopts, self._own_children = adopt_orphans(), OwnChildren()
        self._bodies: dict[int, Body] = {}  # by process
        self._leaving: list[Body] = []  # they have ended; what they left may not have
        self._kept_on: dict[int, str] = {}  # by target, outputs being verified and committed
        self._keeper: Keeper | None = None
        self._poller = Poller()
        self._children = Children(
            session, limit=limit, reuse=reuse, poller=self._poller, early=early,
            hear=self._hear,
        )  # fmt: skip
        self._is_over = False

    def serve(self, slots: Sequence[socket.socket], leash: socket.socket) -> None:
        ignore_signals()
        wake_read, wake_write = os.pipe()
        os.set_blocking(wake_write, False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.set_wakeup_fd(wake_write, warn_on_full_buffer=False)
        own_streams()
        forget_parent()
        stdin_inherited.set(True)  # that of a body is its log
        gc.collect()
        gc.freeze()  # what exists now is shared with every body; collections must not touch it
        self._poller.watch(wake_read, lambda: os.read(wake_read, 4096))
        self._poller.watch(self._control.fileno(), self._obey)
        self._poller.watch(leash.fileno(), self._stop)
        for slot in slots:
            self._poller.watch(slot.fileno(), lambda slot=slot: self._take(slot))  # type: ignore[misc]
        while not self._is_over:
            self._poller.wait(self._milliseconds_to_wait())
            self._reap()
            self._see_off()
            self._flush()
            self._keep()
            self._children.fork_ahead()
        self._end()

    def _milliseconds_to_wait(self) -> int | None:
        """Return the milliseconds until a lease must be handed to the keeper, or a log flushed."""
        dues = (body.printed.log.due for body in self._bodies.values())
        left = [due - time.time() for due in dues if due]
        left += [b.leaving.due for b in self._leaving if b.leaving is not None and b.leaving.due]
        waiting = [b.request.held_since for b in self._bodies.values() if not b.kept]
        if waiting:
            left.append(min(waiting) + self._session.register_after - boot_clock())
        return max(1, int(min(left) * 1000) + 1) if left else None

    def _obey(self) -> None:
        """Follow an order of the applier that is about a running body."""
        packet = self._control.recv(PACKET)
        if not packet:
            self._is_over = True
            return
        index, number = unpack(packet)
        if number == RELEASE:
            output = self._kept_on.pop(index, None)
            if output is not None and self._keeper is not None:
                self._keeper.release(output)
            return
        for pid, body in self._bodies.items():
            if body.request.index == index:
                body.asked = True
                # What is held still hears no request, and must not go on to follow it.
                signal_group(pid, signal.SIGKILL if body.is_still else number)
        for body in self._leaving:
            if body.request.index == index and body.leaving is not None:
                body.leaving.signal(number)

    def _stop(self) -> None:
        self._is_over = True

    def _take(self, slot: socket.socket) -> None:
        """Take the next request of a slot, and have a child run its body."""
        packet = slot.recv(PACKET)
        if not packet:
            self._is_over = True
            return
        try:
            self._run(slot, packet)
        except OSError as error:  # no more processes, memory or descriptors, just now
            why = f"cannot start a process: {str(error.strerror).lower()}"
            with suppress(OSError):
                slot.send(ended(packed_done(Done(1, why, cause="infra"))))

    def _run(self, slot: socket.socket, packet: bytes) -> None:
        request = Request(*unpack(packet))
        target = self._session.targets.all[request.index]
        read, write = os.pipe()
        os.set_blocking(read, False)
        # A process that has used a GPU cannot change to another: the body gets its own process.
        alone = not self._reuse or bool(request.gpus)
        try:
            pid = self._children.hand_over(slot, packet, write, alone=alone)
        except OSError:
            os.close(read)
            raise
        finally:
            os.close(write)
        log = StepLog(request.log, self._session.redactor_of(target.step), self._session.log_limit)
        printed = Printed(read, log, self._poller)
        is_kept = math.isinf(request.held_since)  # by another process, the leader of a gang
        began = time.monotonic()
        body = Body(request, slot, target.output_path, printed, began, alone, is_kept)
        self._bodies[pid] = body

    def _hear(self, pid: int, packet: bytes) -> None:
        """Take what a child says of its body."""
        if (body := self._bodies.get(pid)) is None:
            return
        match unpack(packet):
            case ["imported", names]:
                if share(names):
                    self._children.renew()
            case ["done", bytes(answer)]:
                body.answer = answer
                # The kernel says when its process has ended. That its pipe and its socket are
                # closed then would only wake this process once more.
                self._children.hear_no_more(pid)
                body.printed.pause()
            case ["free", bytes(answer)]:  # its process goes on
                body.answer = answer
                del self._bodies[pid]
                self._leave(body, pid, (0, 0.0, 0))
                self._see_off()
            case _:
                with suppress(OSError):
                    body.channel.send(packet)

    def _reap(self) -> None:
        while True:
            try:
                pid, status, used = os.wait4(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            if self._keeper is not None and pid == self._keeper.pid:
                self._lose_keeper()
            self._children.forget(pid)
            if (body := self._bodies.pop(pid, None)) is not None:
                if not self._adopts:
                    signal_group(pid, signal.SIGKILL)  # what outlives its step
                cpu, peak = used.ru_utime + used.ru_stime, used.ru_maxrss * 1024
                self._leave(body, pid, (status, cpu, peak) if body.alone else (status, 0.0, 0))

    def _leave(self, body: Body, pid: int, usage: tuple[int, float, int]) -> None:
        """Take note that a body has ended; what it used, if its process ran no other."""
        if body.kept:
            self._hear_keeper(body)  # it may have killed it
        step = self._session.targets.all[body.request.index].step
        body.leaving = Leaving(pid, body.request, usage, step.detached, asked=body.asked)
        self._leaving.append(body)

    def _see_off(self) -> None:
        """Finish with the bodies that have ended, where all they started has, too."""
        if not self._leaving:
            return
        known = {*self._bodies, *self._children.pids}
        if self._keeper is not None:
            known.add(self._keeper.pid)
        strangers = [pid for pid in self._own_children.pids() if pid not in known]
        for body in list(self._leaving):
            if body.leaving is not None and body.leaving.has_gone(strangers):
                self._leaving.remove(body)
                self._finish(body, body.leaving)
            else:
                body.printed.go_on()

    def _finish(self, body: Body, left: Leaving) -> None:
        """Say that a body and all it started have ended."""
        body.printed.end(left.said)
        if body.kept and self._keeper is not None:
            self._keeper.outlives(body.output)
            self._kept_on[body.request.index] = body.output
        with suppress(OSError):
            body.channel.send(ended(body.answer, left.usage, left.refused, body.killed))
        self._children.has_ended(time.monotonic() - body.began)

    def _flush(self) -> None:
        for body in self._bodies.values():
            body.printed.log.flush()

    def _keep(self) -> None:
        due = boot_clock() - self._session.register_after
        for pid, body in self._bodies.items():
            if not body.kept and body.request.held_since <= due:
                if self._keeper is None:
                    self._keeper = Keeper(self._session.store, self._session.time_to_live)
                    self._poller.watch(self._keeper.fileno(), self._hear_keeper)
                self._keeper.hold(body.output, body.request, pid, group=True)
                body.kept = True

    def _hear_keeper(self, *also: Body) -> None:
        """Take note of what the keeper does with bodies whose leases it cannot renew."""
        if self._keeper is None:
            return
        heard = {word.output: word for word in self._keeper.hear()}
        if not heard and self._keeper.has_died():
            self._lose_keeper()
        for body in (*self._bodies.values(), *also):
            if (word := heard.get(body.output)) is not None:
                body.hear(word)

    def _lose_keeper(self) -> NoReturn:
        """End: no process renews the leases, so the work must end."""
        self._keeper = None
        self._end()
        os._exit(1)

    def _end(self) -> None:
        """Kill what runs, and wait until it is dead: until then the keeper keeps its leases.

        The applier gets no answers: it has closed its sockets, or died.
        """
        for pid in {*self._bodies, *self._children.pids}:
            signal_group(pid, signal.SIGKILL)
        kill_children({self._keeper.pid} if self._keeper is not None else ())
        for body in (*self._bodies.values(), *self._leaving):
            body.printed.end()
        if self._keeper is not None:
            self._keeper.close()
