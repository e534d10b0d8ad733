"""The lease keeper: a process of its own that renews the leases of steps that take long.

It stands in another process group than the work, so that a signal to the work does not stop it,
and kills the work when a lease is lost; without it, the work ends. While the store gives no answer
for so long that the lease may be another's, the work is held still, and changes nothing.
"""

from __future__ import annotations

import json
import os
import select
import signal
import socket
import sys
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from marin_build.protocol.lease import boot_clock
from marin_build.protocol.living_work import kill_work, living_work
from marin_build.protocol.renewal import Keeping, Kept
from marin_build.run_step.kept_work import Word, Work, signal_group

if TYPE_CHECKING:
    from collections.abc import Callable

    from marin_build.protocol.living_work import Process
    from marin_build.run_step.body import Request
    from marin_build.store.base import Store


REGISTER_AFTER = 1 / 12
"""Part of its time to live after which a running step's lease is handed to the keeper."""


class Keeper:
    """The run's side: starts the keeper process and tells it what to keep."""

    def __init__(self, store: Store, time_to_live: float, run: str = "") -> None:
        self._time_to_live = time_to_live
        applier = os.getpid()
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        sys.stdout.flush()
        sys.stderr.flush()
        self.pid = os.fork()
        if self.pid == 0:
            code = 1
            try:
                ours.close()
                os.setsid()
                for number in (signal.SIGINT, signal.SIGHUP, signal.SIGQUIT, signal.SIGTSTP):
                    signal.signal(number, signal.SIG_IGN)
                signal.signal(signal.SIGTERM, signal.SIG_DFL)
                _keep(store, _Orders(theirs, applier), run)
                code = 0
            finally:
                os._exit(code)
        theirs.close()
        self._socket = ours

    def hold(
        self,
        output: str,
        request: Request,
        pid: int,
        *,
        group: bool,
        reports_end: bool | None = None,
        wait: float = 0.0,
    ) -> None:
        """Keep the lease on `output` for a process, or a process group, that dies with it.

        Args:
            output: the output path.
            request: names the lease.
            pid: the process.
            group: whether it leads a group, which the keeper kills; else the keeper's own end is
                the sign.
            reports_end: whether the caller will call `outlives` before it releases the lease; None:
                as `group`.
            wait: seconds since the lease was written after which it is renewed at first.

        """
        self._say(
            {
                "output": output,
                "nonce": request.nonce,
                "log": request.log,
                "since": request.held_since,
                "ttl": self._time_to_live,
                "pid": pid,
                "group": group,
                "reports_end": group if reports_end is None else reports_end,
                "wait": wait,
                "locked": request.is_locked,
            }
        )

    def outlives(self, output: str) -> None:
        """Keep the lease although the process has ended: its result is verified and committed."""
        self._say({"output": output, "pid": 0})

    def release(self, output: str) -> None:
        """Keep the lease no longer."""
        self._say({"output": output})

    def fileno(self) -> int:
        """Return the descriptor that can be read when the keeper says something, or has died."""
        return self._socket.fileno()

    def hear(self) -> list[Word]:
        """Return what the keeper has said since the last call."""
        heard: list[Word] = []
        with suppress(OSError):
            while packet := self._socket.recv(1 << 16, socket.MSG_DONTWAIT):
                heard.append(Word(*json.loads(packet)))
        return heard

    def has_died(self) -> bool:
        """Return whether the keeper process is gone: the leases it kept are about to be lost."""
        try:
            return os.waitpid(self.pid, os.WNOHANG)[0] != 0
        except ChildProcessError:
            return True

    def close(self) -> None:
        """End the keeper process by an order: a step that forked has a copy of the socket, too."""
        self._say({"end": True})
        self._socket.close()
        with suppress(ChildProcessError):
            os.waitpid(self.pid, 0)

    def _say(self, message: dict[str, object]) -> None:
        with suppress(BrokenPipeError, ConnectionResetError):
            self._socket.send(json.dumps(message).encode())


class _Orders:
    """The keeper's end of the socket, and a watch on the process at the other one.

    What that process forks has its end, too: so its death alone does not close it.
    """

    def __init__(self, orders: socket.socket, holder: int) -> None:
        self._socket, self._holder = orders, holder
        self._poll = select.poll()
        self._poll.register(orders, select.POLLIN)
        with suppress(OSError, AttributeError):  # it is gone; or not Linux
            self._poll.register(os.pidfd_open(holder), select.POLLIN)

    def next(self, patience: float | None) -> dict[str, Any] | None:
        """Return the next order, None if there is none for so many seconds.

        Raises:
            EOFError: the holder is gone.

        """
        ready = self._poll.poll(None if patience is None else patience * 1000)
        if not ready and os.getppid() == self._holder:
            return None
        if self._socket.fileno() in (descriptor for descriptor, _ in ready):
            packet = self._socket.recv(1 << 16)
            if packet:
                order: dict[str, Any] = json.loads(packet)
                return order
        raise EOFError

    def say(self, word: Word) -> None:
        """Tell the run's side, if it listens."""
        with suppress(OSError):
            self._socket.send(json.dumps(word).encode(), socket.MSG_DONTWAIT)


def _keep(store: Store, orders: _Orders, run: str) -> None:
    """Renew what is held until the run's side says that it is over; if it is gone, kill the work.

    Args:
        store: where the leases are.
        orders: what to keep.
        run: the run's id, if its steps share a process: all that it started is killed then.

    """
    kept: dict[str, Work] = {}
    signal.signal(signal.SIGALRM, lambda *_: _stop_overdue(kept, orders.say))
    while True:
        due = min((work.keeping.due for work in kept.values()), default=None)
        try:
            order = orders.next(None if due is None else max(due - boot_clock(), 0.001))
        except EOFError:
            _kill_all(kept, run)
            return
        if order is not None:
            if "end" in order:
                return
            _follow(order, kept)
        _watch_deadlines(kept)
        for output, work in list(kept.items()):
            if work.keeping.due <= boot_clock() and not _renew(store, work, orders.say):
                del kept[output]
        signal.setitimer(signal.ITIMER_REAL, 0)


def _kill_all(kept: dict[str, Work], run: str) -> None:
    """Kill all work whose holder is gone: with it, the process that was to kill it is gone."""
    works = [work for work in kept.values() if work.pid]
    for work in works:
        if work.group:
            signal_group(work.pid, signal.SIGKILL)

    def find() -> list[Process]:
        found = {p for work in works for p in living_work(work.nonce, work.log)}
        return sorted(found.union(living_work("", "", run) if run else ()), key=lambda p: p.pid)

    kill_work(find)


def _watch_deadlines(kept: dict[str, Work]) -> None:
    """Have the kernel interrupt us at the next deadline: a request may hang for longer."""
    deadlines = [work.keeping.deadline for work in kept.values() if work.still_since is None]
    if deadlines:
        left = min(deadlines) - boot_clock()
        signal.setitimer(signal.ITIMER_REAL, max(left, 0.001), 1.0)


def _stop_overdue(kept: dict[str, Work], say: Callable[[Word], None]) -> None:
    for work in list(kept.values()):
        if work.keeping.deadline <= boot_clock() and work.still_since is None:
            work.hold_still(say)


def _follow(order: dict[str, Any], kept: dict[str, Work]) -> None:
    output = order["output"]
    if "pid" not in order:
        kept.pop(output, None)
        return
    if "nonce" not in order:
        if output in kept:
            kept[output].pid = order["pid"]
        return
    keeping = Keeping(
        output,
        order["nonce"],
        held_since=order["since"],
        clock=boot_clock,
        time_to_live=order["ttl"],
        may_be_absent=order.get("locked", False),
    )
    keeping.due += order.get("wait", 0.0)
    kept[output] = Work(
        keeping, order["pid"], order["group"], order["reports_end"], order["nonce"], order["log"]
    )


def _renew(store: Store, work: Work, say: Callable[[Word], None]) -> bool:
    """Renew one lease; kill its work if it is lost. Return whether to go on keeping it."""
    match work.keeping.renew(store, time.time()):
        case Kept.RENEWED:
            work.let_go_on(say)
            return True
        case Kept.AWAY:
            return True
        case Kept.LOST if work.keeping.is_unsure:
            return work.hold_still(say)
        case Kept.LOST:
            work.kill(say, "its lease is another's")
        case Kept.RELEASED if work.reports_end:
            # Its holder deletes it only after the process ended: it was not the holder.
            work.kill(say, "its lease was deleted")
    return False
