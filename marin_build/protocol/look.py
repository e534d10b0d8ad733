"""A look at one target, and a watch on a lease that another holds until it changes or is stale.

The clock of the observer decides, and nothing but change counts: the time in a lock file was
written by the clock of another machine and is never compared with ours.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from marin_build.protocol import layout
from marin_build.protocol.lease import parse_lease
from marin_build.protocol.status import parse_status
from marin_build.protocol.tombstone import readable_tombstone

if TYPE_CHECKING:
    from marin_build.protocol.lease import Lease
    from marin_build.protocol.status import Status
    from marin_build.protocol.tombstone import Tombstone
    from marin_build.store.base import Store


@dataclass(frozen=True, slots=True)
class Seen:
    """A target's state as one reader saw it; a version is empty where nothing is.

    `attempt` is the newest attempt the reader knows of, or None if it did not ask. `tombstone` is
    there if the status is one; `status` is what it replaced.
    """

    status: Status | None = None
    status_version: str = ""
    lease: Lease | None = None
    lease_version: str = ""
    attempt: int | None = None
    tombstone: Tombstone | None = None


def look(store: Store, output: str) -> Seen:
    """Return the status and the lease of a target.

    The status is read after the lease: a reader that finds the lease gone then sees the status
    which its holder wrote before.

    Raises:
        CorruptStateError: one of them is not readable.

    """
    lease_path, status_path = f"{output}/{layout.LEASE}", f"{output}/{layout.STATUS}"
    held = store.get(lease_path)
    said = store.get(status_path)
    return Seen(
        status=parse_status(said.data, status_path) if said is not None else None,
        status_version=said.version if said is not None else "",
        lease=parse_lease(held.data, lease_path) if held is not None else None,
        lease_version=held.version if held is not None else "",
        tombstone=readable_tombstone(said.data) if said is not None else None,
    )


class Watch:
    """One observer's memory of one lease."""

    __slots__ = ("_is_blind", "_since", "_time_to_live", "version")

    def __init__(self, lease: Lease, version: str, now: float) -> None:
        self.version = version
        self._since = now
        self._time_to_live = lease.time_to_live
        self._is_blind = False

    def look(self, lease: Lease, version: str, now: float) -> bool:
        """Take note of what is there now; return whether it changed.

        Args:
            lease: the lock file's content.
            version: its version in the store.
            now: seconds on the observer's own monotonic clock.

        """
        if self._is_blind:  # while nobody reached the store, nobody could renew it there
            self._is_blind, self._since = False, now
        if version == self.version:
            return False
        self.version, self._since, self._time_to_live = version, now, lease.time_to_live
        return True

    def lose_sight(self) -> None:
        """Take note that the store gave no answer: the time until the next look does not count."""
        self._is_blind = True

    def unchanged_for(self, now: float) -> float:
        """Return the seconds for which the lease did not change, as far as we saw."""
        return now - self._since

    def is_stale(self, now: float) -> bool:
        """Return whether it stood still for longer than it may live."""
        return not self._is_blind and self.unchanged_for(now) > self._time_to_live
