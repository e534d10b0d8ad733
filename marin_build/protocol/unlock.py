"""Taking away a lease by hand: for people who know that its holder is dead."""

from __future__ import annotations

import enum
from typing import TYPE_CHECKING

from marin_build.errors import StoppedError
from marin_build.protocol import layout
from marin_build.protocol.abandoned_attempt import record_abandoned
from marin_build.protocol.builder_note import note_of
from marin_build.protocol.look import look
from marin_build.protocol.status import STATUS_RUNNING
from marin_build.text.moments import moment_text

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from marin_build.protocol.lease import Lease
    from marin_build.protocol.living_work import Process
    from marin_build.store.base import Store


class Unlocked(enum.Enum):
    """What became of a lease."""

    NONE_HELD = "no run holds it"
    REMOVED = "the lease is removed"


def unlock(
    store: Store,
    output: str,
    *,
    target: str,
    who: str,
    is_abandoned: Callable[[Lease], bool],
    left_working: Callable[[Lease], Sequence[Process]],
    force: bool,
) -> Unlocked:
    """Remove the lease on a target, and write the end of its attempt.

    Args:
        store: where the output lives.
        output: the output path.
        target: the target's id.
        who: the person, for the attempt's document.
        is_abandoned: whether the holder of a lease has died on this host, and its work with it.
        left_working: what a holder that has died on this host has left working.
        force: remove a lease whose holder may live.

    Raises:
        StoppedError: its holder may live and `force` is not given; it is sealed; or it changed
            just now.

    """
    seen = look(store, output)
    lease, path, version = seen.lease, f"{output}/{layout.LEASE}", seen.lease_version
    if lease is None and seen.status is None and store.is_local:
        # Who builds by the kernel's lock alone leaves a note, in the place of the record.
        path = f"{output}/{layout.RECORD}"
        blob = store.get(path)
        lease, version = (note_of(blob.data), blob.version) if blob is not None else (None, "")
    if lease is None:
        return Unlocked.NONE_HELD
    facts = [
        ("holder", lease.describe()),
        ("renewed", f"{moment_text(lease.written_at)} by its own clock"),
        ("lease", f"{lease.time_to_live:.0f} s"),
    ]
    if lease.is_sealed:
        raise StoppedError(
            f"`{target}` is committed; its lease only waits for the publishing",
            facts=facts,
            consequence="nothing was removed",
            hint="marin-build apply publishes it",
        )
    if not force and (work := left_working(lease)):
        more = f" and {len(work) - 1} more" if len(work) > 1 else ""
        raise StoppedError(
            f"the holder of `{target}` is dead, but what it started still works on it",
            facts=[*facts, ("work", f"{work[0]}{more}")],
            consequence="nothing was removed",
            hint="wait until it has ended, or end it with `--kill`",
        )
    if not force and not is_abandoned(lease):
        raise StoppedError(
            f"`{target}` is held, and its holder may live",
            facts=facts,
            consequence="nothing was removed",
            hint="apply takes it over when it stands still for that long; `--force` removes it now",
        )
    record_abandoned(store, output, target, lease, f"unlocked by {who}")
    if lease.is_adopting and seen.status == STATUS_RUNNING:  # it would say that a build began
        store.delete_if(f"{output}/{layout.STATUS}", seen.status_version)
    if not store.delete_if(path, version):
        raise StoppedError(
            f"the lease on `{target}` changed just now: its holder lives",
            facts=facts,
            consequence="nothing was removed",
            hint="end the run that holds it",
        )
    return Unlocked.REMOVED
