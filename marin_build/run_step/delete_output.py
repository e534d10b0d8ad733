"""Deletes an output that nothing needs, under its lease; or its data alone.

The status says DELETING before anything is deleted, on the condition that nobody has used the
output since it was judged. A folder of a local disk is then moved out of the way as a whole, so
that its place is free at once. In a bucket the status is the last of all that is deleted, but for
the lease. So whatever dies on the way, no reader finds SUCCESS without its data, and the next `gc`
goes on.
"""

from __future__ import annotations

import enum
import os
import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from marin_build.protocol import layout
from marin_build.protocol.builder_note import read_note
from marin_build.protocol.lease import COLLECTING, Host, Lease, boot_clock
from marin_build.protocol.living_work import is_abandoned
from marin_build.protocol.look import look
from marin_build.protocol.renewal import RENEW_EVERY
from marin_build.protocol.status import STATUS_DELETING, STATUS_LET_GO
from marin_build.run_step.trash import empty_trash, move_data, new_trash, refuse_linked_trash
from marin_build.store.folder_place import in_the_way
from marin_build.store.kernel_locks import NO_LOCK
from marin_build.store.local import LocalStore, lasting
from marin_build.store.mounts import is_shared
from marin_build.workspace.places import is_url

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from marin_build.protocol.look import Seen
    from marin_build.protocol.status import Status
    from marin_build.store.base import Store
    from marin_build.store.kernel_locks import KernelLocks, OutputLock


_AT_ONCE = 1000
"""How many objects are deleted between two looks at the lease."""
_OF_AN_OUTPUT = (layout.STATUS, layout.LEASE, layout.RECORD)
_SURELY_DEAD = 3600.0
"""Seconds after which the lease of another `gc` may be replaced. If it lives all the same, both
delete the same output, which does no harm."""


class Deletion(enum.Enum):
    """What became of an output that was to be deleted."""

    DONE = "deleted"
    CHANGED = "used, or written, since it was judged"
    HELD = "held by a run"
    IN_THE_WAY = "a link or a file lies in its place"
    LOST = "taken over by another run"


def new_id() -> str:
    """Return the id of a new `gc`, in the form of a run's."""
    return f"{COLLECTING}{os.urandom(4).hex()}"


def holding(host: Host) -> Callable[[str, str, Lease], bool]:
    """Return a function that tells whether the holder of a lease may be alive."""

    def is_held(target: str, output: str, lease: Lease) -> bool:
        return not is_abandoned(host, lease, layout.local_log_path(output, target, lease))

    return is_held


@dataclass(slots=True)
class Deleter:
    """Deletes outputs of one prefix.

    Args:
        store: where they live.
        prefix: an absolute folder, or a URL.
        lease: names this process; its run is the id of the `gc`.
        is_held: whether the holder of a lease may be alive; gets target id, output path and lease.
        clock: seconds, on a clock that counts sleep.
        locks: the kernel's locks below the prefix; None: only documents keep others out.

    """

    store: Store
    prefix: str
    lease: Lease
    is_held: Callable[[str, str, Lease], bool]
    clock: Callable[[], float] = boot_clock
    locks: KernelLocks | None = None

    def delete(self, output: str, target: str, status_version: str) -> Deletion:
        """Delete an output with all that lies beside it.

        Args:
            output: the output path.
            target: the target's id.
            status_version: that of the status by which it was judged; empty: there was none.

        Raises:
            StoreError: something cannot be read or deleted; the next `gc` goes on.
            CorruptStateError: a document beside it is not readable.

        """
        files = [file.path for file in self.store.files(output)]
        if any(name in path.split("/")[1:] for path in files for name in _OF_AN_OUTPUT):
            return Deletion.CHANGED  # another output began inside it
        lock = self._locked(output)
        if lock is None:
            return Deletion.HELD
        try:
            return self._delete(output, target, status_version, lock, files)
        finally:
            lock.release()

    def _locked(self, output: str) -> OutputLock | None:
        """Take the kernel's lock on an output; return None if another has it."""
        return self.locks.take(output) if self.locks is not None else NO_LOCK

    def _delete(
        self,
        output: str,
        target: str,
        status_version: str,
        lock: OutputLock,
        files: Sequence[str],
    ) -> Deletion:
        taken = self._take(output, target, status_version, STATUS_DELETING, lock)
        if isinstance(taken, Deletion):
            return taken
        if not is_url(output):
            trash = new_trash(self.prefix, self.lease.run)
            LocalStore(is_shared=is_shared(self.prefix)).move_folder(output, trash)
            empty_trash(trash)
            return Deletion.DONE
        last = (layout.STATUS, layout.LEASE)
        ours = [path for path in files if layout.is_ours(path.partition("/")[0])]
        data = sorted(set(files) - set(ours))
        if not taken.delete([*data, *(path for path in ours if path not in last)]):
            return Deletion.LOST
        self.store.delete_if(f"{output}/{layout.STATUS}", taken.status_version)
        taken.release()
        return Deletion.DONE

    def let_go(
        self, output: str, target: str, status_version: str, is_used: Callable[[], bool]
    ) -> Deletion:
        """Delete the data of an output; what is ours beside it stays, and says that it was built.

        Args:
            output: the output path.
            target: the target's id.
            status_version: that of the status by which it was judged.
            is_used: asked once no new reader can begin: whether one has begun before.

        Raises:
            StoreError, CorruptStateError: as for `delete`.

        """
        lock = self._locked(output)
        if lock is None:
            return Deletion.HELD
        try:
            return self._let_go(output, target, status_version, is_used, lock)
        finally:
            lock.release()

    def _let_go(
        self,
        output: str,
        target: str,
        status_version: str,
        is_used: Callable[[], bool],
        lock: OutputLock,
    ) -> Deletion:
        seen = look(self.store, output)
        taken = self._take(output, target, status_version, STATUS_LET_GO, lock)
        if isinstance(taken, Deletion):
            return taken
        if is_used():
            assert seen.status is not None
            path = f"{output}/{layout.STATUS}"
            lasting(self.store).replace_if(path, seen.status.encode(), taken.status_version)
            taken.release()
            return Deletion.HELD
        if is_url(output):
            files = [file.path for file in self.store.files(output)]
            if not taken.delete([p for p in files if not layout.is_ours(p.partition("/")[0])]):
                return Deletion.LOST
            taken.release()
            return Deletion.DONE
        trash = new_trash(self.prefix, self.lease.run)
        move_data(output, trash)
        taken.release()
        empty_trash(trash)
        return Deletion.DONE

    def _take(
        self, output: str, target: str, status_version: str, status: Status, lock: OutputLock
    ) -> _Taken | Deletion:
        """Take the lease and write the status, if nothing is there but what was judged."""
        if not is_url(output):
            if in_the_way(output) is not None:
                return Deletion.IN_THE_WAY
            refuse_linked_trash(self.prefix)
        seen = look(self.store, output)
        if seen.status_version != status_version:
            return Deletion.CHANGED
        if seen.lease is not None and not self._may_replace(seen, target, output):
            return Deletion.HELD
        if seen.lease is None and seen.status is None and self._works(output, target, lock):
            return Deletion.HELD
        path = f"{output}/{layout.LEASE}"
        lease = replace(
            self.lease, lock=lock.identity, timestamp=time.time(), nonce=os.urandom(8).hex()
        )
        since = self.clock()
        version = (
            self.store.put_if_absent(path, lease.encode())
            if seen.lease is None
            else self.store.replace_if(path, lease.encode(), seen.lease_version)
        )
        if version is None:
            return Deletion.HELD
        status_path = f"{output}/{layout.STATUS}"
        written = (
            self.store.replace_if(status_path, status.encode(), status_version)
            if status_version
            else self.store.put_if_absent(status_path, status.encode())
        )
        taken = _Taken(self.store, output, lease, version, written or "", since, self.clock)
        if written is None:
            taken.release()
            return Deletion.CHANGED
        return taken

    def _works(self, output: str, target: str, lock: OutputLock) -> bool:
        """Return whether a builder without a lease, or what it started, may be alive."""
        note = read_note(self.store, output)
        if note is None:
            return False
        # A lock that it had, and we have now, also tells of a holder before the last start.
        is_gone = note.lock == lock.identity and note.boot != self.lease.boot
        return not is_gone and self.is_held(target, output, note)

    def _may_replace(self, seen: Seen, target: str, output: str) -> bool:
        """Return whether the holder of a lease is surely dead, and its work with it."""
        lease = seen.lease
        assert lease is not None
        if lease.is_sealed:
            return False
        is_old = time.time() - lease.timestamp > _SURELY_DEAD
        if lease.is_collecting and seen.status in (None, STATUS_DELETING) and is_old:
            return True
        return not self.is_held(target, output, lease)


@dataclass(slots=True)
class _Taken:
    """An output under our lease."""

    store: Store
    output: str
    lease: Lease
    version: str
    status_version: str
    held_since: float
    clock: Callable[[], float]

    def delete(self, paths: Sequence[str]) -> bool:
        """Delete files of the output, in this order; return False if the lease was lost."""
        for start in range(0, len(paths), _AT_ONCE):
            if not self._is_held():
                return False
            part = paths[start : start + _AT_ONCE]
            self.store.delete([f"{self.output}/{path}" for path in part])
        return self._is_held()

    def release(self) -> None:
        """Delete the lease, if it is ours."""
        self.store.delete_if(f"{self.output}/{layout.LEASE}", self.version)

    def _is_held(self) -> bool:
        """Return whether the lease is ours for the next while; renew it if it is old."""
        now = self.clock()
        if now - self.held_since < RENEW_EVERY:
            return True
        lease = self.lease.renewed(time.time())
        path = f"{self.output}/{layout.LEASE}"
        version = self.store.replace_if(path, lease.encode(), self.version)
        if version is None:
            return False
        self.lease, self.version, self.held_since = lease, version, now
        return True
