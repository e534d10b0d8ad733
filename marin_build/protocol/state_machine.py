"""The state machine of one target, as one participant sees it: the only table of its moves.

Every program that touches a target (`run-step`, `distributed_lock`, the simulation) goes through
`transition`. docs/reference/storage.md draws the table.
"""

from __future__ import annotations

import enum
from typing import TYPE_CHECKING

from marin_build.protocol.status import STATUS_SUCCESS

if TYPE_CHECKING:
    from marin_build.protocol.look import Seen


class State(enum.Enum):
    """What a participant knows of the target, and may do next."""

    UNKNOWN = "look at status and lease"
    FREE = "create the lease"
    ABANDONED = "replace the stale lease"
    HELD_BY_OTHER = "wait, or do something else"
    HELD = "open an attempt"
    QUICK = "run the step; announce it if it takes longer than a second"
    RUNNING = "run the step, renew the lease"
    COMMITTED = "publish what is sealed"
    FINISHED = "use the output"
    TOMBSTONED = "take the tombstone away before the output is used"
    ENDED = "leave it to the next attempt"
    LOST = "stop: nothing of ours counts any more"
    REFUSED = "leave it alone: what lies there is not ours"


class Event(enum.Enum):
    """What a participant saw, or what the store answered to a conditional write."""

    SAW_NOBODY = "no lease, not built"
    SAW_HOLDER = "a lease that lives"
    SAW_STALE = "a lease that its holder does not renew"
    SAW_OURS = "our own lease, the reply to our write was lost"
    SAW_SEAL = "a sealed lease"
    SAW_SUCCESS = "built, or cached, and no rebuild is forced"
    SAW_TOMBSTONE = "built, and about to be deleted by gc"
    LOCKED = "the kernel's lock is ours, and nothing lies there"
    ANNOUNCED = "lease and RUNNING are ours: who cannot see the lock sees them"
    TOOK_LEASE = "the lease is ours"
    OPENED = "the attempt is ours"
    BEATEN = "another run was faster"
    FOUND_FOREIGN = "data that no build left, the lease is gone"
    SEALED = "our seal is in place"
    PUBLISHED = "SUCCESS is there, the lease is gone"
    GAVE_UP = "the attempt failed or was interrupted, the lease is gone"
    REVIVED = "the tombstone is gone"
    OVERTAKEN = "the lease is another's, or gone"
    LOOKED_AWAY = "time has passed"


class IllegalMoveError(Exception):
    """A bug of ours: an event that cannot happen in a state."""


TRANSITIONS: dict[tuple[State, Event], State] = {
    (State.UNKNOWN, Event.SAW_NOBODY): State.FREE,
    (State.UNKNOWN, Event.SAW_HOLDER): State.HELD_BY_OTHER,
    (State.UNKNOWN, Event.SAW_STALE): State.ABANDONED,
    (State.UNKNOWN, Event.SAW_OURS): State.HELD,
    (State.UNKNOWN, Event.SAW_SEAL): State.COMMITTED,
    (State.UNKNOWN, Event.SAW_SUCCESS): State.FINISHED,
    (State.UNKNOWN, Event.SAW_TOMBSTONE): State.TOMBSTONED,
    (State.UNKNOWN, Event.LOCKED): State.QUICK,
    (State.QUICK, Event.ANNOUNCED): State.RUNNING,
    (State.QUICK, Event.PUBLISHED): State.FINISHED,
    (State.QUICK, Event.OVERTAKEN): State.LOST,
    (State.TOMBSTONED, Event.REVIVED): State.UNKNOWN,
    (State.HELD_BY_OTHER, Event.LOOKED_AWAY): State.UNKNOWN,
    (State.FREE, Event.TOOK_LEASE): State.HELD,
    (State.FREE, Event.BEATEN): State.UNKNOWN,
    (State.ABANDONED, Event.TOOK_LEASE): State.HELD,
    (State.ABANDONED, Event.BEATEN): State.UNKNOWN,
    (State.HELD, Event.TOOK_LEASE): State.HELD,
    (State.HELD, Event.BEATEN): State.UNKNOWN,
    (State.HELD, Event.OPENED): State.RUNNING,
    (State.HELD, Event.SAW_SUCCESS): State.FINISHED,
    (State.HELD, Event.OVERTAKEN): State.UNKNOWN,
    (State.HELD, Event.FOUND_FOREIGN): State.REFUSED,
    (State.RUNNING, Event.SEALED): State.COMMITTED,
    (State.RUNNING, Event.GAVE_UP): State.ENDED,
    (State.RUNNING, Event.OVERTAKEN): State.LOST,
    (State.COMMITTED, Event.PUBLISHED): State.FINISHED,
    (State.COMMITTED, Event.OVERTAKEN): State.UNKNOWN,
}


def transition(state: State, event: Event) -> State:
    """Return the state after an event.

    Raises:
        IllegalMoveError: the event cannot happen there.

    """
    try:
        return TRANSITIONS[state, event]
    except KeyError:
        raise IllegalMoveError(f"{event.name} in {state.name}") from None


def see(seen: Seen, *, nonce: str, stale: bool, force: bool) -> Event:
    """Return what a look at a target means for a run that wants it built.

    Args:
        seen: what the look showed.
        nonce: recognises our own lease.
        stale: the observer judged the lease stale.
        force: build again even if it is built.

    """
    lease = seen.lease
    if lease is not None and lease.is_sealed:
        return Event.SAW_SEAL
    if lease is not None and nonce and lease.nonce == nonce:
        return Event.SAW_OURS
    if seen.status == STATUS_SUCCESS and not force:
        return Event.SAW_SUCCESS if seen.tombstone is None else Event.SAW_TOMBSTONE
    if lease is None:
        return Event.SAW_NOBODY
    return Event.SAW_STALE if stale else Event.SAW_HOLDER
