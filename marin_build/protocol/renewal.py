"""Keeping a lease: renew it in time, and know the instant after which it may be another's.

A holder measures the age of its lease on a clock that counts sleep, from the instant it SENT the
last acknowledged renewal. An observer saw that renewal later, so it waits longer than the holder.
"""

from __future__ import annotations

import enum
from typing import TYPE_CHECKING

from marin_build.errors import MarinBuildError
from marin_build.protocol import layout
from marin_build.protocol.lease import TIME_TO_LIVE, parse_lease

if TYPE_CHECKING:
    from collections.abc import Callable

    from marin_build.store.base import Store


RENEW_EVERY = 15.0
"""Seconds between two renewals. Object stores refuse much more than one write a second."""
TRY_AGAIN_AFTER = 1.0
"""Seconds between two tries while the store is away."""
MARGIN = 10.0
"""Seconds before a lease could be taken over at which its work is stopped."""


class Kept(enum.Enum):
    """How an attempt to renew ended."""

    RENEWED = "ours for another while"
    AWAY = "the store did not answer; there is time left"
    RELEASED = "its holder ended it"
    LOST = "another's, or too late to be sure: the work must stop"


class Keeping:
    """One lease being kept.

    Args:
        output: the output path.
        nonce: recognises the lease.
        held_since: when the lease was taken, or later renewed, on `clock`.
        clock: seconds, on a clock that counts sleep.
        time_to_live: seconds the lease holds unchanged; the times above are for TIME_TO_LIVE and
            scale with it.
        may_be_absent: whether the lease may not be there yet: the kernel's lock keeps others out.

    """

    __slots__ = (
        "_clock",
        "_life",
        "_may_be_absent",
        "_nonce",
        "_path",
        "_scale",
        "deadline",
        "due",
        "is_unsure",
        "output",
    )

    def __init__(
        self,
        output: str,
        nonce: str,
        *,
        held_since: float,
        clock: Callable[[], float],
        time_to_live: float = TIME_TO_LIVE,
        may_be_absent: bool = False,
    ) -> None:
        self.output = output
        self._may_be_absent = may_be_absent
        self._nonce = nonce
        self._clock = clock
        self._path = f"{output}/{layout.LEASE}"
        self._scale = time_to_live / TIME_TO_LIVE
        self._life = time_to_live - MARGIN * self._scale
        self.deadline = held_since + self._life
        """The instant at which the work must have stopped."""
        self.due = held_since
        """When to renew next."""
        self.is_unsure = False
        """Whether it counts as lost only because the store gave no answer in time."""

    def renew(self, store: Store, timestamp: float) -> Kept:
        """Renew the lease, if it is still ours.

        Args:
            store: where it is.
            timestamp: seconds since the epoch, written into it for people.

        """
        # Past the deadline it is tried once more: a renewal that is acknowledged proves that
        # no other holder took it, so that a laptop that slept does not lose its work.
        sent = self._clock()
        try:
            outcome = self._try(store, timestamp)
        except MarinBuildError:
            outcome = Kept.AWAY
        self.is_unsure = False
        if outcome is Kept.RENEWED:
            self.deadline, self.due = sent + self._life, sent + RENEW_EVERY * self._scale
        elif outcome is Kept.AWAY:
            self.due = self._clock() + TRY_AGAIN_AFTER * self._scale
            if self.due > self.deadline:
                self.is_unsure = True
                return Kept.LOST
        return outcome

    def _try(self, store: Store, timestamp: float) -> Kept:
        blob = store.get(self._path)
        if blob is None:
            return Kept.AWAY if self._may_be_absent else Kept.RELEASED
        self._may_be_absent = False
        lease = parse_lease(blob.data, self._path)
        if lease.nonce != self._nonce:
            return Kept.LOST
        if lease.is_sealed:
            return Kept.RELEASED
        renewed = lease.renewed(timestamp).encode()
        # A write that fails met our own seal, or our own write whose reply was lost: look again.
        won = store.replace_if(self._path, renewed, blob.version) is not None
        return Kept.RENEWED if won else Kept.AWAY
