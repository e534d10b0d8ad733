"""Acquire a target: by the kernel's lock alone where nothing lies, else by documents, too."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from marin_build.protocol import layout
from marin_build.protocol.builder_note import note_of
from marin_build.protocol.claim_by_documents import DocumentClaimant
from marin_build.protocol.claim_outcomes import Held
from marin_build.protocol.held_target import Holding
from marin_build.protocol.lease import Lease
from marin_build.protocol.look import look
from marin_build.protocol.quick_holding import QuickHolding
from marin_build.protocol.state_machine import Event, State, transition
from marin_build.store.kernel_locks import NO_LOCK

if TYPE_CHECKING:
    from collections.abc import Callable

    from marin_build.protocol.claim_outcomes import Finished, Foreign
    from marin_build.protocol.look import Seen
    from marin_build.protocol.quick_holding import Beginning
    from marin_build.store.kernel_locks import KernelLocks, OutputLock


@dataclass(frozen=True, slots=True)
class Claimant(DocumentClaimant):
    """A run that wants a target, and may get it by the kernel's lock.

    Args:
        locks: the kernel's locks below the prefix; None: only documents keep others out.
        begin: makes the folder of an output in which nothing lies, with a note in the place of the
            record: then the kernel's lock is enough for a second. None: a lease is written at once.

    """

    locks: KernelLocks | None = None
    begin: Callable[[str, str, bytes], Beginning | None] | None = None

    def acquire(self, seen: Seen | None = None) -> Holding | Held | Finished | Foreign:
        """Take the lease on the target and open an attempt.

        Args:
            seen: what a look showed; None: look now. If it is outdated, this call looks again.

        Raises:
            StoreError: the store cannot be reached.
            CorruptStateError: a document beside the output is not readable.
            StoppedError: a link or a file lies in the place of the output.

        """
        lock = self.locks.take(self.output) if self.locks is not None else NO_LOCK
        if lock is None:
            return self._held_by_lock()
        got: Holding | Held | Finished | Foreign | None = None
        try:
            got = self._begin(lock)
            if got is None:
                claimant = replace(self, lease=replace(self.lease, lock=lock.identity))
                got = claimant.take_lease(seen, lock)
            return got
        finally:
            if not isinstance(got, Holding):
                lock.release()

    def _held_by_lock(self) -> Held:
        """Return who has the kernel's lock, as far as documents say it."""
        seen = look(self.store, self.output)
        if seen.lease is not None:
            return Held(seen.lease, seen.lease_version)
        record = self.store.get(f"{self.output}/{layout.RECORD}")
        note = note_of(record.data) if record is not None else None
        return Held(note or _UNKNOWN_HOLDER, "")

    def _begin(self, lock: OutputLock) -> QuickHolding | None:
        """Begin to build by the kernel's lock alone; return None if anything lies there."""
        if self.begin is None or not lock.is_quick:
            return None
        sent, ours = self.clock(), replace(self.lease, lock=lock.identity, attempt=1)
        begun = self.begin(self.output, layout.RECORD, ours.encode())
        if begun is None:
            return None
        if not lock.is_in_place():  # who locks what lies there now may not have seen our note
            begun.take_back()
            return None
        return QuickHolding(
            self.store,
            self.output,
            self.target,
            ours,
            "",
            "",
            sent,
            self.now,
            transition(State.UNKNOWN, Event.LOCKED),
            is_first=True,
            is_empty=True,
            lock=lock,
            begun=begun,
        )


_UNKNOWN_HOLDER = Lease("another_run_on_this_machine", 0.0)
"""Stands for who has the kernel's lock, and has written nothing yet."""
