"""Watching a lease that somebody else holds, to judge when it is stale.

The observer's own clock decides, and nothing but change counts: the time in a lock file was
written by another machine's clock and is never compared with ours.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from marin_build.protocol.lease import Lease


class Watch:
    """One observer's memory of one lease."""

    __slots__ = ("_since", "_time_to_live", "version")

    def __init__(self, lease: Lease, version: str, now: float) -> None:
        self.version = version
        self._since = now
        self._time_to_live = lease.time_to_live

    def look(self, lease: Lease, version: str, now: float) -> bool:
        """Take note of what is there now; return whether it changed.

        Args:
            lease: the lock file's content.
            version: its version in the store.
            now: seconds on the observer's own monotonic clock.

        """
        if version == self.version:
            return False
        self.version, self._since, self._time_to_live = version, now, lease.time_to_live
        return True

    def unchanged_for(self, now: float) -> float:
        """Return the seconds for which the lease did not change, as far as we saw."""
        return now - self._since

    def is_stale(self, now: float) -> bool:
        """Return whether it stood still for longer than it may live."""
        return self.unchanged_for(now) > self._time_to_live
