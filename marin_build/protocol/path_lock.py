"""A claim on a path without attempts and records: for programs that build there themselves.

The moves are those of `state_machine`. What differs from `acquire`: no RUNNING is written and no
attempt opened, so a status is read once more under the lease.
"""

from __future__ import annotations

import itertools
from dataclasses import replace
from typing import TYPE_CHECKING

from marin_build.errors import PreviousTaskFailedError, StoreError
from marin_build.pauses import doubled
from marin_build.protocol import layout
from marin_build.protocol.lease import TIME_TO_LIVE
from marin_build.protocol.look import Seen, Watch, look
from marin_build.protocol.path_lease import Clocks, PathLease
from marin_build.protocol.publish import finish_publishing
from marin_build.protocol.state_machine import Event, State, see, transition
from marin_build.protocol.status import (
    STATUS_DEP_FAILED,
    STATUS_FAILED,
    STATUS_SUCCESS,
    parse_status,
)
from marin_build.protocol.tombstone_writes import take_away
from marin_build.store.kernel_locks import NO_LOCK

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from marin_build.protocol.lease import Lease
    from marin_build.protocol.status import Status
    from marin_build.store.base import Store
    from marin_build.store.kernel_locks import KernelLocks, OutputLock


class PathLock(PathLease):
    """One claim on the lease of an output path.

    Args:
        store: where the output lives; needs conditional writes.
        output: the output path, absolute.
        lease: who we are, with a nonce of its own.
        is_abandoned: whether the holder of a lease has died on this host, and its work with it.
        clocks: where it takes time from.
        is_worked_on: whether something that an attempt started lives on this host: then its lease
            is not stale, however long it stood still.
        locks: the kernel's locks around the output; None: only documents keep others out.

    Raises:
        StoreError: the store cannot write conditionally, so nothing can be locked there.

    """

    def __init__(
        self,
        store: Store,
        output: str,
        lease: Lease,
        is_abandoned: Callable[[Lease], bool],
        clocks: Clocks | None = None,
        *,
        is_worked_on: Callable[[Lease], bool] = lambda _: False,
        locks: KernelLocks | None = None,
    ) -> None:
        if not store.conditional:
            raise StoreError(
                f"cannot lock `{output}`: its store has no conditional writes",
                consequence="nothing was run",
                hint="use a local path, gs://, s3:// or az://",
            )
        super().__init__(store, output, lease, clocks or Clocks())
        self._is_abandoned = is_abandoned
        self._is_worked_on = is_worked_on
        self._locks = locks
        self._lock: OutputLock | None = None if locks is not None else NO_LOCK
        self._watch: Watch | None = None

    def acquire(
        self, *, rerun_failed: bool = True, rebuild: bool = False, presume_free: bool = False
    ) -> bool:
        """Wait until the lease is ours; return False if there is nothing left to do.

        Args:
            rerun_failed: whether a target that failed may be tried again.
            rebuild: whether a target that is built is built again.
            presume_free: the status was just read, and is not SUCCESS: try first, then look.

        Raises:
            PreviousTaskFailedError: it failed, and must not be tried again.

        """
        pauses = _pauses(is_local=self._store.is_local)
        seen = Seen() if presume_free else look(self._store, self._output)
        while True:
            state = transition(State.UNKNOWN, self._see(seen, rebuild=rebuild))
            match state:
                case State.FINISHED:
                    return False
                case State.COMMITTED:
                    assert seen.lease is not None
                    finish_publishing(self._store, self._output, seen)
                case State.TOMBSTONED:
                    assert seen.tombstone is not None
                    take_away(self._store, self._output, seen.status_version, seen.tombstone)
                    transition(state, Event.REVIVED)
                case State.HELD_BY_OTHER:
                    self._clocks.wait(next(pauses))
                case _ if not self._has_lock():
                    self._clocks.wait(next(pauses))
                case _:
                    self._refuse_failed(seen.status, rerun_failed=rerun_failed)
                    if self._take(state, seen):
                        return self._still_wanted(rerun_failed=rerun_failed, rebuild=rebuild)
            seen = look(self._store, self._output)

    def try_acquire(self) -> bool:
        """Take the lease, whatever the status; return False if another holds it, or was faster."""
        seen = look(self._store, self._output)
        state = transition(State.UNKNOWN, self._see(seen, rebuild=True))
        if state in (State.HELD_BY_OTHER, State.COMMITTED) or not self._has_lock():
            return False
        if self._take(state, seen):
            return True
        self._unlock()
        return False

    def is_held_by_other(self) -> bool:
        """Return whether another holder has the lease, as far as we know."""
        seen = look(self._store, self._output)
        return self._see(seen, rebuild=True) in (Event.SAW_HOLDER, Event.SAW_SEAL)

    def holder(self) -> str | None:
        """Return who has the lease, as far as we know; None if nobody has it."""
        seen = look(self._store, self._output)
        if seen.lease is None:
            return None
        is_ours = seen.lease.nonce == self._lease.nonce
        if is_ours or self._see(seen, rebuild=True) in (Event.SAW_HOLDER, Event.SAW_SEAL):
            return seen.lease.worker
        return None

    def release(self) -> None:
        """Delete the lease if it is still ours."""
        self._stop_keeping()
        try:
            self._delete()
        finally:
            self._unlock()

    def _has_lock(self) -> bool:
        """Take the kernel's lock; return False if another has it."""
        if self._lock is None and self._locks is not None:
            self._lock = self._locks.take(self._output)
        return self._lock is not None

    def _unlock(self) -> None:
        """Let go of the kernel's lock."""
        if self._lock is not None and self._locks is not None:
            self._lock.release()
            self._lock = None
            self._locks.close()

    def _see(self, seen: Seen, *, rebuild: bool) -> Event:
        stale = seen.lease is not None and self._is_stale(seen.lease, seen.lease_version)
        return see(seen, nonce=self._lease.nonce, stale=stale, force=rebuild)

    def _is_stale(self, lease: Lease, version: str) -> bool:
        now = self._clocks.watch()
        if self._watch is None:
            self._watch = Watch(lease, version, now)
        self._watch.look(lease, version, now)
        if self._watch.is_stale(now):
            return not self._is_worked_on(lease)
        return self._is_abandoned(lease)

    def _take(self, state: State, seen: Seen) -> bool:
        """Make the lease ours; return False if anything is not as it was seen."""
        sent = self._clocks.keep()
        if state is State.HELD:  # the reply to our own write was lost
            self._version, self._deadline = seen.lease_version, sent
            return True
        # Our lease keeps the number of an abandoned attempt: the next one must be higher.
        epoch = seen.lease.attempt if seen.lease is not None else 0
        now = self._clocks.date()
        data = replace(self._lease, attempt=epoch, timestamp=now, since=round(now, 3)).encode()
        version = (
            self._store.put_if_absent(self._path, data)
            if state is State.FREE
            else self._store.replace_if(self._path, data, seen.lease_version)
        )
        if version is None:
            transition(state, Event.BEATEN)
            return False
        transition(state, Event.TOOK_LEASE)
        self._version, self._deadline = version, sent + TIME_TO_LIVE
        return True

    def _still_wanted(self, *, rerun_failed: bool, rebuild: bool) -> bool:
        """Look at the status once more, now that no other holder may change it."""
        try:
            path = f"{self._output}/{layout.STATUS}"
            blob = self._store.get(path)
            status = parse_status(blob.data, path) if blob is not None else None
            self._refuse_failed(status, rerun_failed=rerun_failed)
        except BaseException:
            self.release()
            raise
        if status == STATUS_SUCCESS and not rebuild:
            transition(State.HELD, Event.SAW_SUCCESS)
            self.release()
            return False
        transition(State.HELD, Event.OPENED)
        return True

    def _refuse_failed(self, status: Status | None, *, rerun_failed: bool) -> None:
        if not rerun_failed and status in (STATUS_FAILED, STATUS_DEP_FAILED):
            raise PreviousTaskFailedError(
                f"`{self._output}` failed before: {status}",
                consequence="it was not run again",
                hint="allow it with force_run_failed=True",
            )


def _pauses(*, is_local: bool) -> Iterator[float]:
    """Yield seconds to wait between two looks at a lease that another holds."""
    first = 0.02 if is_local else 0.5
    return (doubled(number, first, _LONGEST_PAUSE) for number in itertools.count(1))


_LONGEST_PAUSE = 2.0
