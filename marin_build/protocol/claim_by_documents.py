"""Take a target by documents: from a look at it to its lease, RUNNING, and an attempt of our own.

When nothing changed since the look, two requests do it: create the lease, write RUNNING. Both are
conditional on what was seen, so that nothing has to be read again. The lease carries the number of
the attempt (the epoch); its document is written once, when the attempt ends.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from marin_build.protocol import layout
from marin_build.protocol.abandoned_attempt import record_abandoned
from marin_build.protocol.builder_note import note_of
from marin_build.protocol.claim_outcomes import Finished, Foreign, Held
from marin_build.protocol.foreign_data import ForeignData, OwnData, find_data
from marin_build.protocol.held_target import Holding
from marin_build.protocol.look import Seen, look
from marin_build.protocol.newest_attempt import attempt_of, newest_attempt, newest_in_logs
from marin_build.protocol.publish import finish_publishing
from marin_build.protocol.state_machine import Event, State, see, transition
from marin_build.protocol.status import STATUS_RUNNING, STATUS_SUCCESS
from marin_build.protocol.tombstone_writes import take_away
from marin_build.store.folder_place import refuse_what_is_in_the_way
from marin_build.workspace.places import is_url

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from marin_build.protocol.lease import Lease
    from marin_build.store.base import Blob, Store
    from marin_build.store.kernel_locks import OutputLock


@dataclass(frozen=True, slots=True)
class DocumentClaimant:
    """A run that wants a target, and how it judges what it finds there.

    Args:
        store: where the output lives.
        output: the output path.
        target: the target's id, for the attempt's document.
        lease: names the claimant: worker, run, nonce, boot, pid, start.
        is_abandoned: whether the holder of a lease has died on this host, and its work with it.
        clock: seconds, on a clock that counts sleep.
        now: the time, for people.
        force: build even what is built.
        forced_over: the version of the status for which `force` holds; None: for every status.
            What another run has built since is not built again.
        stale_version: a lease version that was watched for longer than it may live.
        is_worked_on: whether something that an attempt started lives on this host: then its lease
            is not stale, however long it stood still.
        may_clear: whether data that no build of ours left may be cleared; None: such data is not
            looked for, because nothing is cleared.

    """

    store: Store
    output: str
    target: str
    lease: Lease
    is_abandoned: Callable[[Lease], bool]
    clock: Callable[[], float]
    now: datetime
    force: bool = False
    forced_over: str | None = None
    stale_version: str = ""
    is_worked_on: Callable[[Lease], bool] = lambda _: False
    may_clear: Callable[[ForeignData], bool] | None = None

    def take_lease(
        self, seen: Seen | None, lock: OutputLock
    ) -> Holding | Held | Finished | Foreign:
        """Take the lease on the target and open an attempt.

        Args:
            seen: what a look showed; None: look now. If it is outdated, this call looks again.
            lock: the kernel's lock on the output, which is ours, or stands for none.

        Raises:
            StoreError: the store cannot be reached.
            CorruptStateError: a document beside the output is not readable.
            StoppedError: a link or a file lies in the place of the output.

        """
        insists, published, fresh = self.force, False, False
        while True:
            if not is_url(self.output):
                refuse_what_is_in_the_way(self.output)
            if seen is None:
                seen, fresh = look(self.store, self.output), True
            force = insists and self._is_meant(seen)
            state = transition(State.UNKNOWN, self._see(seen, force=force))
            if not fresh and state in (State.FINISHED, State.COMMITTED):
                seen = None  # no conditional write follows that would fail if this has changed
                continue
            if state is State.FINISHED:
                return Finished(published)
            if state is State.TOMBSTONED:
                assert seen.tombstone is not None
                take_away(self.store, self.output, seen.status_version, seen.tombstone)
                transition(state, Event.REVIVED)  # by us, or whatever came instead: look again
                seen = None
                continue
            if state is State.HELD_BY_OTHER:
                assert seen.lease is not None
                return Held(seen.lease, seen.lease_version)
            if state is State.COMMITTED:
                assert seen.lease is not None
                is_published = finish_publishing(self.store, self.output, seen)
                if is_published and seen.status != STATUS_SUCCESS:
                    published, insists = True, False
                seen = None
                continue
            data = self._data_beside_adopting(state, seen)
            if isinstance(data, ForeignData):
                return Foreign(data)  # as the `adopt` left it: a person can try that again
            record = self._record_without(seen)
            note = note_of(record.data) if record is not None else None
            if record is not None and note is not None and self._works(note, record.version):
                return Held(note, record.version)
            got = self._take(state, seen, lock, record, force=force)
            if got is not None:
                return got
            seen = None

    def _record_without(self, seen: Seen) -> Blob | None:
        """Return the record, or the note in its place, where neither status nor lease are."""
        if seen.status is not None or seen.lease is not None or not self.store.is_local:
            return None
        return self.store.get(f"{self.output}/{layout.RECORD}")

    def _works(self, holder: Lease, version: str) -> bool:
        """Return whether a holder without a lease, or what it started, may be alive."""
        if version == self.stale_version or self._is_gone(holder):
            return self.is_worked_on(holder)
        return not self.is_abandoned(holder)

    def _is_gone(self, holder: Lease) -> bool:
        """Return whether a holder is surely gone: we have the lock now that it had."""
        return bool(holder.lock) and holder.lock == self.lease.lock

    def _is_meant(self, seen: Seen) -> bool:
        """Return whether `force` holds for the status that was seen."""
        return self.forced_over in (None, seen.status_version)

    def _see(self, seen: Seen, *, force: bool) -> Event:
        lease = seen.lease
        stale = lease is not None and (
            not self.is_worked_on(lease)
            if seen.lease_version == self.stale_version or self._is_gone(lease)
            else self.is_abandoned(lease)
        )
        return see(seen, nonce=self.lease.nonce, stale=stale, force=force)

    def _take(
        self, state: State, seen: Seen, lock: OutputLock, record: Blob | None, *, force: bool
    ) -> Holding | Foreign | None:
        """Take the lease and open an attempt; None if anything is not as it was seen.

        Where no status is, the data there is looked at before anything but the lease is written: a
        status would prove, to the next run, that the data is ours.
        """
        path, sent = f"{self.output}/{layout.LEASE}", self.clock()
        ours = replace(self.lease, attempt=self._next_attempt(seen, record))
        if state is State.HELD and seen.lease is not None:
            # The reply to our own write was lost. We write the lease again, so that it holds from
            # now on. Its number may come from an outdated look: we take one that is free now. And
            # its time must differ: where versions are digests, equal bytes are no renewal.
            free = newest_attempt(self.store, self.output) + 1
            ours = replace(
                seen.lease,
                attempt=max(seen.lease.attempt, free),
                timestamp=seen.lease.timestamp + 0.001,
            )
        version = (
            self.store.put_if_absent(path, ours.encode())
            if state is State.FREE
            else self.store.replace_if(path, ours.encode(), seen.lease_version)
        )
        if version is None:
            transition(state, Event.BEATEN)
            return None
        data = self._data_without(seen)
        if isinstance(data, ForeignData):
            event, status_version = Event.FOUND_FOREIGN, ""
        else:
            dead = seen.lease if state is State.ABANDONED else None
            if dead is None and record is not None:
                dead = note_of(record.data)
            if dead is not None:
                why = f"its holder died; taken over by {self.lease.worker}"
                record_abandoned(self.store, self.output, self.target, dead, why)
            event, status_version = self._say_running(seen, ours.attempt, force=force)
        state = transition(transition(state, Event.TOOK_LEASE), event)
        if event in (Event.SAW_SUCCESS, Event.BEATEN, Event.FOUND_FOREIGN):
            self.store.delete_if(path, version)
        if isinstance(data, ForeignData):
            return Foreign(data)
        if state is not State.RUNNING:
            return None
        return Holding(
            self.store,
            self.output,
            self.target,
            ours,
            version,
            status_version,
            sent,
            self.now,
            is_first=seen.status is None,
            is_empty=self.may_clear is not None and seen.status is None and data is None,
            lock=lock,
        )

    def _data_beside_adopting(self, state: State, seen: Seen) -> ForeignData | OwnData | None:
        """Return the data for which an `adopt` that died took the lease, before we take it."""
        lease = seen.lease
        if self.may_clear is None or state is not State.ABANDONED or lease is None:
            return None
        if not lease.is_adopting:
            return None
        data = find_data(self.store, self.output, adopting=True)
        return OwnData() if isinstance(data, ForeignData) and self.may_clear(data) else data

    def _data_without(self, seen: Seen) -> ForeignData | OwnData | None:
        """Return the data there if there is no status, and it may not be cleared unasked."""
        if self.may_clear is None or seen.status is not None:
            return None
        data = find_data(self.store, self.output, is_held=True)
        if isinstance(data, ForeignData) and self.may_clear(data):
            return OwnData()
        return data

    def _say_running(self, seen: Seen, attempt: int, *, force: bool) -> tuple[Event, str]:
        """Write RUNNING over the status that was seen; return what happened, and the new version.

        The write is the second look at the status, now under our lease: it fails if anything
        was written since the first one.
        """
        path = f"{self.output}/{layout.STATUS}"
        while True:
            if seen.status == STATUS_SUCCESS and not force:  # built since the lease was asked for
                return Event.SAW_SUCCESS, ""
            version = (
                self.store.replace_if(path, STATUS_RUNNING.encode(), seen.status_version)
                if seen.status_version
                else self.store.put_if_absent(path, STATUS_RUNNING.encode())
            )
            if version is not None:
                return Event.OPENED, version
            seen = look(self.store, self.output)
            if seen.lease is None or seen.lease.nonce != self.lease.nonce:
                return Event.OVERTAKEN, ""
            if isinstance(self._data_without(seen), ForeignData):  # it was exchanged just now
                return Event.BEATEN, ""
            force = force and self._is_meant(seen)
            if seen.status == STATUS_SUCCESS and not force:
                continue
            if newest_attempt(self.store, self.output) >= attempt:
                return Event.BEATEN, ""  # another attempt ended meanwhile: our number is taken
            # Our own write, whose reply was lost; or a late write of a run that lost the lease.
            if seen.status == STATUS_RUNNING:
                return Event.OPENED, seen.status_version

    def _next_attempt(self, seen: Seen, record: Blob | None) -> int:
        """Return the number after all that were given out, as far as the store shows them."""
        if seen.lease is not None and seen.lease.attempt:
            # The store may have carried out the write of this lease late, after it was released.
            return max(seen.lease.attempt, newest_attempt(self.store, self.output)) + 1
        if seen.attempt is not None:
            return seen.attempt + 1
        if seen.status is None and not self.store.is_local:
            return 1  # no status means no attempt, unless a person deleted it
        if seen.status is None:
            left = attempt_of(record.data) if record is not None else 0
            return (newest_in_logs(self.store, self.output) or left) + 1
        return newest_attempt(self.store, self.output) + 1
