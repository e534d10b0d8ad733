"""A lease on a path that is ours: kept, confirmed before what was done counts, and deleted."""

from __future__ import annotations

import math
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from marin_build.errors import LeaseLostError
from marin_build.protocol import layout
from marin_build.protocol.lease import TIME_TO_LIVE, boot_clock, parse_lease
from marin_build.protocol.renewal import RENEW_EVERY, Keeping, Kept

if TYPE_CHECKING:
    from collections.abc import Callable

    from marin_build.protocol.lease import Lease
    from marin_build.store.base import Store


_ENOUGH = 20.0
"""Seconds a lease must still hold when its holder is about to say how the work ended."""


@dataclass(frozen=True, slots=True)
class Clocks:
    """Where a lock takes time from; all in seconds.

    Args:
        keep: a clock that counts the sleep of this machine, for the age of our own lease.
        watch: a monotonic clock, for how long the lease of another holder did not change.
        date: seconds since the epoch, for people.
        wait: sleeps.

    """

    keep: Callable[[], float] = boot_clock
    watch: Callable[[], float] = time.monotonic
    date: Callable[[], float] = time.time
    wait: Callable[[float], None] = time.sleep


class PathLease:
    """The lease of one claim on an output path, from when it is taken.

    Args:
        store: where the output lives.
        output: the output path, absolute.
        lease: who we are, with a nonce of its own.
        clocks: where it takes time from.

    """

    def __init__(self, store: Store, output: str, lease: Lease, clocks: Clocks) -> None:
        self._store = store
        self._output = output
        self._path = f"{output}/{layout.LEASE}"
        self._lease = lease
        self._clocks = clocks
        self._version = ""
        self._deadline = 0.0
        self._confirmed = -math.inf
        self._stop = threading.Event()
        self._keeper: threading.Thread | None = None

    def keep(self) -> None:
        """Renew the lease from a thread until it is released."""
        keeping = Keeping(
            self._output,
            self._lease.nonce,
            held_since=self._deadline - TIME_TO_LIVE,
            clock=self._clocks.keep,
        )
        keeping.due += RENEW_EVERY
        self._keeper = threading.Thread(
            target=self._renew_until_stopped, args=(keeping,), name="lease keeper", daemon=True
        )
        self._keeper.start()

    def confirm(self, *, within: float = 0.0) -> None:
        """Make sure that the lease is ours, and stays so for long enough to say how it ended.

        Args:
            within: a look that many seconds ago will do.

        Raises:
            LeaseLostError: it is another's, or gone.

        """
        if self._clocks.keep() - self._confirmed < within:
            return
        while True:
            sent = self._clocks.keep()
            blob = self._store.get(self._path)
            current = parse_lease(blob.data, self._path) if blob is not None else None
            if blob is None or current is None or current.nonce != self._lease.nonce:
                raise LeaseLostError(
                    f"the lease on `{self._output}` was lost",
                    facts=[("holder now", current.describe() if current else "none")],
                    consequence="what was done there does not count",
                    hint="run it again",
                )
            self._version = blob.version
            if self._clocks.keep() < self._deadline - _ENOUGH or self._renew(current):
                self._confirmed = sent
                return

    def renew(self) -> None:
        """Renew the lease now.

        Raises:
            LeaseLostError: it is another's, or gone.

        """
        self._deadline = 0.0
        self.confirm()

    def _stop_keeping(self) -> None:
        """End the thread that renews the lease, if there is one."""
        if self._keeper is not None:
            self._stop.set()
            self._keeper.join()

    def _delete(self) -> None:
        """Delete the lease if it is still ours."""
        if not self._version or self._store.delete_if(self._path, self._version):
            return
        while (blob := self._store.get(self._path)) is not None:
            if parse_lease(blob.data, self._path).nonce != self._lease.nonce:
                return
            if self._store.delete_if(self._path, blob.version):
                return

    def _renew_until_stopped(self, keeping: Keeping) -> None:
        while not self._stop.wait(max(keeping.due - self._clocks.keep(), 0.0)):
            # A thread cannot stop the work: `confirm` finds out whether the lease was lost.
            if keeping.renew(self._store, self._clocks.date()) in (Kept.LOST, Kept.RELEASED):
                return

    def _renew(self, current: Lease) -> bool:
        """Renew what is ours; return False if the keeper was faster."""
        sent = self._clocks.keep()
        data = current.renewed(self._clocks.date()).encode()
        version = self._store.replace_if(self._path, data, self._version)
        if version is None:
            return False
        self._version, self._deadline = version, sent + TIME_TO_LIVE
        return True
