"""The lease keeper: a process of its own that renews the leases of steps that take long.

It stands in another process group than the work, so that a signal to the work does not stop it,
and kills the work when a lease is lost or could not be renewed in time; without it, the work ends.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import sys
import time
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from marin_build.protocol.lease import boot_clock
from marin_build.protocol.renewal import Keeping, Kept

if TYPE_CHECKING:
    from marin_build.run_step.body import Request
    from marin_build.store.base import Store


REGISTER_AFTER = 1 / 12
"""Part of its time to live after which a running step's lease is handed to the keeper."""
LOST = 5
"""Exit code of a keeper that lost the lease of work it cannot kill."""


@dataclass(frozen=True, slots=True)
class _Work:
    """A lease being kept, and the process, or process group, that dies with it; 0: none.

    `reports_end`: the holder reports when the process has ended. If the lease is gone before that,
    a person or another program deleted it, and another run may build.
    """

    keeping: Keeping
    pid: int
    group: bool
    reports_end: bool


class Keeper:
    """The run's side: starts the keeper process and tells it what to keep."""

    def __init__(self, store: Store, time_to_live: float) -> None:
        self._time_to_live = time_to_live
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        sys.stdout.flush()
        sys.stderr.flush()
        self.pid = os.fork()
        if self.pid == 0:
            code = 1
            try:
                ours.close()
                os.setpgid(0, 0)
                signal.signal(signal.SIGINT, signal.SIG_IGN)
                signal.signal(signal.SIGTERM, signal.SIG_DFL)
                _keep(store, theirs)
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
                "since": request.held_since,
                "ttl": self._time_to_live,
                "pid": pid,
                "group": group,
                "reports_end": group if reports_end is None else reports_end,
                "wait": wait,
            }
        )

    def outlives(self, output: str) -> None:
        """Keep the lease although the process has ended: its result is verified and committed."""
        self._say({"output": output, "pid": 0})

    def release(self, output: str) -> None:
        """Keep the lease no longer."""
        self._say({"output": output})

    def has_died(self) -> bool:
        """Return whether the keeper process is gone: the leases it kept are about to be lost."""
        try:
            return os.waitpid(self.pid, os.WNOHANG)[0] != 0
        except ChildProcessError:
            return True

    def close(self) -> None:
        """End the keeper process."""
        self._socket.close()
        with suppress(ChildProcessError):
            os.waitpid(self.pid, 0)

    def _say(self, message: dict[str, object]) -> None:
        with suppress(BrokenPipeError, ConnectionResetError):
            self._socket.send(json.dumps(message).encode())


def _keep(store: Store, orders: socket.socket) -> None:
    """Renew what is held until the run's side closes."""
    kept: dict[str, _Work] = {}
    signal.signal(signal.SIGALRM, lambda *_: _kill_overdue(kept))
    while True:
        due = min((work.keeping.due for work in kept.values()), default=None)
        orders.settimeout(None if due is None else max(due - boot_clock(), 0.001))
        try:
            message = orders.recv(1 << 16)
        except TimeoutError:
            message = None
        if message == b"":
            return
        if message is not None:
            _follow(json.loads(message), kept)
        _watch_deadlines(kept)
        for output, work in list(kept.items()):
            if work.keeping.due <= boot_clock() and not _renew(store, work):
                del kept[output]
        signal.setitimer(signal.ITIMER_REAL, 0)


def _watch_deadlines(kept: dict[str, _Work]) -> None:
    """Have the kernel interrupt us at the next deadline: a request may hang for longer."""
    if kept:
        left = min(work.keeping.deadline for work in kept.values()) - boot_clock()
        signal.setitimer(signal.ITIMER_REAL, max(left, 0.001), 1.0)


def _kill_overdue(kept: dict[str, _Work]) -> None:
    for work in list(kept.values()):
        if work.keeping.deadline <= boot_clock():
            _kill(work)


def _follow(order: dict[str, Any], kept: dict[str, _Work]) -> None:
    output = order["output"]
    if "pid" not in order:
        kept.pop(output, None)
        return
    if "nonce" not in order:
        if output in kept:
            kept[output] = replace(kept[output], pid=order["pid"])
        return
    keeping = Keeping(
        output,
        order["nonce"],
        held_since=order["since"],
        clock=boot_clock,
        time_to_live=order["ttl"],
    )
    keeping.due += order.get("wait", 0.0)
    kept[output] = _Work(keeping, order["pid"], order["group"], order["reports_end"])


def _renew(store: Store, work: _Work) -> bool:
    """Renew one lease; kill its work if it is lost. Return whether to go on keeping it."""
    match work.keeping.renew(store, time.time()):
        case Kept.RENEWED | Kept.AWAY:
            return True
        case Kept.LOST:
            _kill(work)
        case Kept.RELEASED if work.reports_end:
            # Its holder deletes it only after the process ended: it was not the holder.
            _kill(work)
    return False


def _kill(work: _Work) -> None:
    """Kill a body with all it started; of threads, the keeper's end tells their process to end."""
    if not work.pid:
        return
    if not work.group:
        os._exit(LOST)
    with suppress(ProcessLookupError):
        os.killpg(work.pid, signal.SIGKILL)
