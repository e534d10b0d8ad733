"""How the leader of a gang takes the lease: it waits for the dead, and for nobody who lives."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import TYPE_CHECKING

from marin_build.plan.outcomes import Interrupted, Stopped
from marin_build.protocol.claim_outcomes import Held
from marin_build.protocol.gang import gang_lease, pause_between_looks
from marin_build.protocol.lease import boot_clock
from marin_build.protocol.look import Watch

if TYPE_CHECKING:
    from collections.abc import Callable

    from marin_build.plan.outcomes import Outcome
    from marin_build.protocol.acquire import Claimant
    from marin_build.protocol.claim_outcomes import Finished, Foreign
    from marin_build.protocol.held_target import Holding
    from marin_build.protocol.look import Seen


def acquire_as_leader(
    claimant: Claimant,
    launch: str,
    seen: Seen | None,
    asked_to_end: Callable[[], str],
    wait: Callable[[float], None] = time.sleep,
) -> Holding | Finished | Foreign | Outcome:
    """Take the lease; wait for one that stands still, but for no holder that lives.

    A gang occupies machines that cost by the minute. The lease of a launch that died stands still,
    and this takes it over when it is stale. A lease that is renewed ends the wait at once.

    Args:
        claimant: the run.
        launch: the name of the gang's launch.
        seen: what a look showed; None: look now.
        asked_to_end: whether the run ends; then it waits no longer.
        wait: sleeps.

    Raises:
        StoreError: the store cannot be reached.
        CorruptStateError: a document beside the output is not readable.

    """
    claimant = replace(claimant, lease=gang_lease(claimant.lease, launch))
    watch: Watch | None = None
    pause = pause_between_looks(claimant.store, claimant.lease.time_to_live)
    while True:
        got = claimant.acquire(seen)
        if not isinstance(got, Held):
            return got
        seen, now = None, boot_clock()
        if watch is None:
            watch = Watch(got.lease, got.version, now)
        is_stale = got.version == claimant.stale_version  # and held by what its holder has left
        if got.version != watch.version or is_stale:
            return Stopped(
                f"`{claimant.target}` is held by {got.lease.describe()}",
                "a step on several hosts waits for no other run: it would keep all of them idle",
            )
        if asked_to_end():
            return Interrupted()
        if watch.is_stale(now):
            claimant = replace(claimant, stale_version=got.version)
        else:
            wait(pause)
