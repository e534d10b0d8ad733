"""The lease keeper: a process of its own that renews the leases of steps that take long.

It stands in another process group than the work, so that a signal to the work does not stop it,
and kills the work when a lease is lost or could not be renewed in time; without it, the work ends.
Deadlines count from the instant the last acknowledged renewal was sent, on a clock that counts
sleep.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import sys
import time
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from marin_build.errors import MarinBuildError
from marin_build.protocol import layout
from marin_build.protocol.lease import TIME_TO_LIVE, parse_lease

if TYPE_CHECKING:
    from marin_build.store.base import Store

REGISTER_AFTER = 5.0
"""Seconds after which a running step's lease is handed to the keeper."""
RENEW_EVERY = 15.0
MARGIN = 10.0
LOST = 5
"""Exit code of a keeper that lost the lease of work it cannot kill."""

_CLOCK = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)


def clock() -> float:
    """Return seconds on a clock that counts sleep."""
    return time.clock_gettime(_CLOCK)


@dataclass(slots=True)
class _Kept:
    """A lease being kept: whose work dies with it, and until when it surely holds."""

    nonce: str
    pid: int
    group: bool
    deadline: float
    due: float


class Keeper:
    """The run's side: starts the keeper process and tells it what to keep."""

    def __init__(self, store: Store) -> None:
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

    def hold(self, output: str, nonce: str, pid: int, *, group: bool) -> None:
        """Keep the lease on `output` for a process, or a process group, that dies with it."""
        self._say({"output": output, "nonce": nonce, "pid": pid, "group": group})

    def release(self, output: str) -> None:
        """Keep it no longer."""
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
    kept: dict[str, _Kept] = {}
    while True:
        due = min((lease.due for lease in kept.values()), default=None)
        orders.settimeout(None if due is None else max(due - clock(), 0.001))
        try:
            message = orders.recv(1 << 16)
        except TimeoutError:
            message = None
        if message == b"":
            return
        if message is not None:
            _follow(json.loads(message), kept)
        for output, lease in list(kept.items()):
            if lease.due <= clock() and not _renew(store, output, lease):
                del kept[output]


def _follow(order: dict[str, object], kept: dict[str, _Kept]) -> None:
    output = str(order["output"])
    if "nonce" not in order:
        kept.pop(output, None)
        return
    now = clock()
    kept[output] = _Kept(
        str(order["nonce"]),
        int(str(order["pid"])),
        bool(order["group"]),
        deadline=now + TIME_TO_LIVE - REGISTER_AFTER - MARGIN,
        due=now,
    )


def _renew(store: Store, output: str, kept: _Kept) -> bool:
    """Renew one lease; kill its work and return False if it is lost."""
    path, sent = f"{output}/{layout.LEASE}", clock()
    try:
        blob = store.get(path)
        if blob is None:
            return False  # released by the work itself
        lease = parse_lease(blob.data, path)
        if lease.nonce == kept.nonce and lease.is_sealed:
            return False
        if lease.nonce != kept.nonce:
            _kill(kept)
            return False
        renewed = lease.renewed(time.time()).encode()
        if store.replace_if(path, renewed, blob.version) is not None:
            kept.deadline = sent + TIME_TO_LIVE - MARGIN
            kept.due = sent + RENEW_EVERY
            return True
    except MarinBuildError:
        pass  # a store that is away for a moment: try again until the deadline
    if clock() > kept.deadline:
        _kill(kept)
        return False
    kept.due = clock() + 1.0
    return True


def _kill(kept: _Kept) -> None:
    """Kill a body with all it started; threads cannot be: there the keeper's end is the sign."""
    if not kept.group:
        os._exit(LOST)
    with suppress(ProcessLookupError):
        os.killpg(kept.pid, signal.SIGKILL)
