"""The warm process: forks bodies, reaps them, hands the leases of slow ones to the keeper."""

from __future__ import annotations

import fcntl
import gc
import marshal
import os
import select
import signal
import sys
from contextlib import suppress
from dataclasses import astuple, dataclass
from typing import TYPE_CHECKING, NoReturn

from marin_build.protocol.lease import boot_clock
from marin_build.run_step.bodies import Request
from marin_build.run_step.body import Done, run_body
from marin_build.run_step.keeper import Keeper
from marin_build.run_step.orphans import die_with_parent, prepare

if TYPE_CHECKING:
    import socket
    from collections.abc import Sequence

    from marin_build.run_step.session import Session

PACKET = 1 << 17
"""Bytes of the longest packet; a longer answer goes through a file."""
_SPILL = PACKET - 1024
RELEASE = 0
"""Stands for a signal: the target's lease need not be kept any more."""


# Orders and answers are plain tuples, numbers and strings, packed by the quickest means: every
# page that packing touches in a child is a page fault. A request is the fields of Request, a
# signal (index, number); an answer is the fields of Done, the path of a file that holds them,
# or the status of a process that is gone, as from waitpid.
pack, unpack = marshal.dumps, marshal.loads


@dataclass(slots=True)
class _Child:
    request: Request
    channel: socket.socket
    output: str
    kept: bool = False


def serve(session: Session, control: socket.socket, slots: Sequence[socket.socket]) -> None:
    """Be the template until the applier closes its sockets or dies."""
    _Template(session, control, slots).serve()


class _Template:
    def __init__(
        self, session: Session, control: socket.socket, slots: Sequence[socket.socket]
    ) -> None:
        self._session = session
        self._control = control
        self._slots = {slot.fileno(): slot for slot in slots}
        self._children: dict[int, _Child] = {}
        self._kept_on: dict[int, str] = {}  # by target, outputs being verified and committed
        self._keeper: Keeper | None = None
        self._wake_read, self._wake_write = os.pipe()

    def serve(self) -> None:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        # Signals to the whole group are the applier's to handle; its sockets tell us when to end.
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        os.set_blocking(self._wake_write, False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.set_wakeup_fd(self._wake_write, warn_on_full_buffer=False)
        prepare()
        _own_streams()
        gc.collect()
        gc.freeze()  # what exists now is shared with every body; collections must not touch it
        poll = select.poll()
        for descriptor in (self._control.fileno(), self._wake_read, *self._slots):
            poll.register(descriptor, select.POLLIN)
        while True:
            for descriptor, _ in poll.poll(self._patience()):
                if descriptor == self._wake_read:
                    os.read(self._wake_read, 4096)
                elif not self._follow(descriptor):
                    self._end()
                    return
            self._reap()
            self._keep()

    def _patience(self) -> int | None:
        """Return the milliseconds until some body's lease must be handed to the keeper."""
        waiting = [c.request.held_since for c in self._children.values() if not c.kept]
        if not waiting:
            return None
        due = min(waiting) + self._session.register_after
        return max(1, int((due - boot_clock()) * 1000) + 1)

    def _follow(self, descriptor: int) -> bool:
        """Follow one order; return False when the applier is gone."""
        channel = self._slots.get(descriptor, self._control)
        packet = channel.recv(PACKET)
        if not packet:
            return False
        order = unpack(packet)
        if channel is self._control:
            self._signal(*order)
        else:
            self._fork(Request(*order), channel)
        return True

    def _signal(self, index: int, number: int) -> None:
        if number == RELEASE:
            output = self._kept_on.pop(index, None)
            if output is not None and self._keeper is not None:
                self._keeper.release(output)
            return
        for pid, child in self._children.items():
            if child.request.index == index:
                _signal_group(pid, number)

    def _fork(self, request: Request, channel: socket.socket) -> None:
        parent, pid = os.getpid(), os.fork()
        if pid == 0:
            _run_child(self._session, request, channel, parent)
        with suppress(PermissionError, ProcessLookupError):
            os.setpgid(pid, pid)
        output = self._session.targets.all[request.index].output_path
        self._children[pid] = _Child(request, channel, output)

    def _reap(self) -> None:
        while self._children or self._keeper is not None:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if pid == 0:
                return
            if self._keeper is not None and pid == self._keeper.pid:
                self._keeper = None
                self._end()  # nobody keeps the leases: the work must not go on
                os._exit(1)
            child = self._children.pop(pid)
            _signal_group(pid, signal.SIGKILL)  # what outlives its step
            if child.kept and self._keeper is not None:
                self._keeper.outlives(child.output)
                self._kept_on[child.request.index] = child.output
            with suppress(OSError):
                child.channel.send(pack(status))

    def _keep(self) -> None:
        due = boot_clock() - self._session.register_after
        for pid, child in self._children.items():
            if not child.kept and child.request.held_since <= due:
                if self._keeper is None:
                    self._keeper = Keeper(self._session.store, self._session.time_to_live)
                self._keeper.hold(child.output, child.request, pid, group=True)
                child.kept = True

    def _end(self) -> None:
        for pid in self._children:
            _signal_group(pid, signal.SIGKILL)
        if self._keeper is not None:
            self._keeper.close()


def _signal_group(pid: int, number: int) -> None:
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, number)


def _run_child(session: Session, request: Request, channel: socket.socket, parent: int) -> NoReturn:
    """Run one body in this fresh child, answer, and end."""
    try:
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        signal.signal(signal.SIGINT, signal.default_int_handler)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        os.setpgid(0, 0)
        die_with_parent(parent)
        _log_to(request.log)
        target = session.targets.all[request.index]
        done = run_body(target)
        sys.stdout.flush()
        sys.stderr.flush()
        _answer(channel, request, done)
    except BaseException as error:  # noqa: BLE001 - a fork must never return into its parent's code
        with suppress(Exception):
            _answer(channel, request, Done(1, f"{type(error).__name__}: {error}"))
    finally:
        os._exit(0)


def _answer(channel: socket.socket, request: Request, done: Done) -> None:
    packet = pack(astuple(done))
    if len(packet) > _SPILL:
        path = request.log.removesuffix(".log") + ".answer"
        with open(path, "wb") as stream:
            stream.write(packet)
        packet = pack(path)
    channel.send(packet)


def _own_streams() -> None:
    """Give this process, and so its children, standard streams of known form and empty buffers."""
    sys.stdout, sys.stderr = (
        open(  # noqa: SIM115 - for good
            descriptor, "w", encoding="utf-8", errors="backslashreplace", closefd=False, buffering=1
        )
        for descriptor in (1, 2)
    )


def _log_to(path: str) -> None:
    """Send everything this process and its children print to a file, for good."""
    log = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    # Held until the last process that writes to it has ended: `still_written` asks for it.
    fcntl.flock(log, fcntl.LOCK_EX)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.dup2(log, 1)
    os.dup2(log, 2)
    os.close(log)
    os.close(nothing)
