"""Bodies in forked children of a warm, single-threaded template process.

    supervisor --- request ---> template --- fork ---> body (its own session)
        ^--------- answer ---------' ^------ answer -------'

Each slot has a socket of sequenced packets. A body tells the template what it did before it exits;
the template passes that on when the process is gone and its log complete. If there is nothing to
pass on then, the body died. When the applier dies, the control socket closes and the template kills
what runs; what becomes of it otherwise is the guard's matter.

A child that is used again (a "worker") lives on after its answer, one a slot. It is replaced when a
body ends it, or leaves a thread or a process behind.
"""

from __future__ import annotations

import gc
import os
import select
import signal
import socket
import sys
import time
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING

from marin_build.errors import StoppedError
from marin_build.pipeline.retries import KILLED
from marin_build.protocol.living_work import PATIENCE, kill_work, living_work
from marin_build.run_step.body import Done
from marin_build.run_step.fork.child import lift_limit, restore_limit
from marin_build.run_step.fork.guard import Guard
from marin_build.run_step.fork.messages import (
    PACKET,
    pack,
    packed_request,
    unpack,
    unpacked_done,
)
from marin_build.run_step.fork.template_process import RELEASE, serve
from marin_build.run_step.interpreter_end import flush_files
from marin_build.run_step.patient_store import tell_news

if TYPE_CHECKING:
    from collections.abc import Callable

    from marin_build.run_step.body import Request
    from marin_build.run_step.session import Session


_TEMPLATE_DIED = 3


class ForkBodies:
    """Runs bodies in forked children.

    Args:
        session: the run.
        slots: how many run at once.
        reuse: whether a child runs all bodies of its slot, one after the other, not only one.

    """

    def __init__(self, session: Session, slots: int, *, reuse: bool = False) -> None:
        limit = lift_limit()
        pairs = _socket_pairs(slots + 1)
        self._kills = OomKills()
        sys.stdout.flush()
        sys.stderr.flush()
        gc.unfreeze()  # what is frozen is not listed
        early = flush_files()  # else each body writes what they hold back, once more
        gc.freeze()
        ours, (control, *slots_) = zip(*pairs, strict=True)

        def be_template(leash: socket.socket) -> None:
            serve(session, control, slots_, leash, early, limit=limit, reuse=reuse)

        self._session = session
        self._guard = Guard(be_template, ours, (control, *slots_))
        self._limit = limit
        self.is_spent = False
        self.makes_logs = self.are_in_threads = False
        self._control, *self._slots = ours
        self._polls = [_poll_on(channel, self._guard) for channel in self._slots]

    def run(self, slot: int, request: Request, tell: Callable[[str], None]) -> Done:
        """Run a body."""
        before = self._kills.before()
        return explained(self._run(slot, request, tell), self._kills, before)

    def _run(self, slot: int, request: Request, tell: Callable[[str], None]) -> Done:
        channel, parts = self._slots[slot], list[bytes]()
        try:
            channel.send(packed_request(request))
            while packet := self._next(slot):
                match unpack(packet):
                    case ["waits", str(text)]:
                        tell(text)
                    case ["keeper", str(text)]:
                        tell_news(self._session.store, f"`{self._id_of(request)}`: {text}")
                    case ["part", bytes(part)]:
                        parts.append(part)
                    case ["ended", answer, int(status), float(cpu), int(peak), left, killed]:
                        if answer is None:
                            done = _death(status, killed)
                        else:
                            done = unpacked_done(answer, parts)
                        if peak:
                            done = replace(done, peak_memory=peak, cpu_seconds=cpu)
                        return done.with_left(left)
        except OSError:
            pass
        self.is_spent = True
        self._end_work_of(request)
        return Done(_TEMPLATE_DIED, "the process that starts the steps died", cause="infra")

    def _id_of(self, request: Request) -> str:
        return self._session.targets.all[request.index].id

    def _next(self, slot: int) -> bytes:
        """Return the next answer; nothing if there will be none."""
        channel = self._slots[slot]
        ready = [descriptor for descriptor, _ in self._polls[slot].poll()]
        return channel.recv(PACKET) if channel.fileno() in ready else b""

    def _end_work_of(self, request: Request) -> None:
        """Wait until all that a body started is dead: before that, nothing else may build."""
        self._guard.wait_for_end(PATIENCE)
        _, left = kill_work(lambda: living_work(request.nonce, request.log))
        if left:
            raise StoppedError(
                f"the process that starts the steps died, and {left[0]} cannot be killed",
                consequence="the target stays locked until that has ended",
                hint="see what it waits for: a disk, or a device",
            )

    def release(self, index: int) -> None:
        """Have the keeper let go of a target's lease."""
        self.signal(index, RELEASE)

    def signal(self, index: int, number: int) -> None:
        """Signal a body's process group."""
        with suppress(OSError):
            self._control.send(pack((index, int(number))))

    def tend(self) -> float | None:
        """Nothing: the template hands leases to the keeper."""
        return None

    def close(self) -> None:
        """End the template; it kills what still runs."""
        self._control.close()
        self._guard.close()
        for channel in self._slots:
            channel.close()
        restore_limit(self._limit)


def _poll_on(*watched: socket.socket | Guard) -> select.poll:
    poll = select.poll()
    for each in watched:
        poll.register(each, select.POLLIN)
    return poll


def _socket_pairs(count: int) -> list[tuple[socket.socket, socket.socket]]:
    """Return connected sockets of sequenced packets; none stays open if there are not enough."""
    pairs: list[tuple[socket.socket, socket.socket]] = []
    try:
        for _ in range(count):
            pairs.append(socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET))
            for end in pairs[-1]:
                end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4 * PACKET)
    except OSError:
        for ends in pairs:
            for end in ends:
                end.close()
        raise
    return pairs


def _death(status: int, killed: str) -> Done:
    """Return how a body ended whose process died without an answer.

    Args:
        status: that of its process.
        killed: why the lease keeper killed it; empty if it did not.

    """
    code = os.waitstatus_to_exitcode(status)
    if killed and code == -signal.SIGKILL:
        return Done(KILLED, f"killed by the keeper of its lease: {killed}", cause="infra")
    if code >= 0:
        return Done(code or 1, f"the step ended its process with code {code} and no result")
    try:
        name = signal.Signals(-code).name
    except ValueError:
        name = f"signal {-code}"
    why = UNKNOWN if -code == signal.SIGKILL else ""
    return Done(128 - code, f"killed by {name}{why}")


VMSTAT = "/proc/vmstat"
UNKNOWN = " (out of memory, or killed by another process)"
"""The end of the message about a kill where the kernel's count cannot be read."""
_FRESH = 1.0
"""Seconds for which one reading of the count serves: workers begin thousands of bodies a second."""
_FIELD = b"\noom_kill "


class OomKills:
    """The kernel's count of kills for memory, read when bodies begin and when one was killed."""

    def __init__(self, path: str = VMSTAT, clock: Callable[[], float] = time.monotonic) -> None:
        self._path, self._clock = path, clock
        self._count, self._read_at = self._read(), clock()

    def before(self) -> int | None:
        """Return the count for a body that begins now; None: it cannot be read."""
        if self._clock() - self._read_at >= _FRESH:
            self._read_again()
        return self._count

    def since(self, before: int | None) -> bool | None:
        """Return whether the kernel killed anything for memory since; None: that is not known."""
        now = self._read_again()
        return None if now is None or before is None else now > before

    def _read_again(self) -> int | None:
        self._count, self._read_at = self._read(), self._clock()
        return self._count

    def _read(self) -> int | None:
        try:
            with open(self._path, "rb") as stream:
                text = stream.read()
        except OSError:
            return None
        value = text.partition(_FIELD)[2].partition(b"\n")[0]
        return int(value) if value.isdigit() else None


def explained(done: Done, kills: OomKills, before: int | None) -> Done:
    """Return how a body ended, and why it or a program it ran was killed, where that is known.

    Args:
        done: how it ended.
        kills: the kernel's count.
        before: what that was when the body began.

    """
    if (
        done.cause == "infra"
        or done.exit_code != KILLED
        or (for_memory := kills.since(before)) is None
    ):
        return done
    message = done.message.removesuffix(UNKNOWN)
    if for_memory:
        return replace(done, message=f"{message}: out of memory", cause="oom")
    if message == done.message:
        return done
    return replace(done, message=f"{message} by another process")
