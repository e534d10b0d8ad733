"""The status of an output, read and written by programs that build it themselves."""

from __future__ import annotations

import os
from typing import Any, get_args

from marin_build.errors import PreviousTaskFailedError, SpecificationError
from marin_build.protocol import layout
from marin_build.protocol.holder import here, own_lease, worker_id
from marin_build.protocol.living_work import is_abandoned, is_worked_on
from marin_build.protocol.path_lock import PathLock
from marin_build.protocol.status import (
    STATUS_DEP_FAILED,
    STATUS_FAILED,
    STATUS_RUNNING,
    STATUS_SUCCESS,
    Status,
    parse_status,
)
from marin_build.protocol.tombstone import readable_tombstone
from marin_build.protocol.tombstone_writes import take_away
from marin_build.store.kernel_locks import locks_around
from marin_build.store.open_store import open_store
from marin_build.text.readable import did_you_mean
from marin_build.workspace.places import is_url
from marin_build.workspace.workspace import absolute_prefix

__all__ = [
    "STATUS_DEP_FAILED",
    "STATUS_FAILED",
    "STATUS_RUNNING",
    "STATUS_SUCCESS",
    "StatusFile",
    "check_cache",
    "should_run",
    "worker_id",
]


class StatusFile:
    """The status file of an output, and the lock beside it.

    Args:
        output_path: a folder or a URL; a relative one is taken from the working directory.
        worker_id: who asks, as locks name it.

    Attributes:
        output_path: the output, absolute.
        path, lock_path: its status file and its lock.

    """

    def __init__(self, output_path: str | os.PathLike[str], worker_id: str) -> None:
        self.output_path = absolute_prefix(output_path, os.getcwd())
        self.worker_id = worker_id
        self.path = layout.status_path(self.output_path)
        self.lock_path = f"{self.output_path}/{layout.LEASE}"
        self._store = open_store(self.output_path)
        self._lock: PathLock | None = None
        self._is_kept = False

    @property
    def fs(self) -> Any:
        """The fsspec filesystem in which the output lies, for programs that look around there."""
        import fsspec

        return fsspec.core.url_to_fs(self.path, use_listings_cache=False)[0]

    @property
    def status(self) -> Status | None:
        """The status, read now; None where nothing was ever run.

        A tombstone in its place is taken away: who asks may use the output.

        Raises:
            CorruptStateError: the file is not readable.
            StoreError: the store cannot be reached.

        """
        while (blob := self._store.get(self.path)) is not None:
            status = parse_status(blob.data, self.path)
            tombstone = readable_tombstone(blob.data) if status == STATUS_SUCCESS else None
            if tombstone is None:
                return status
            take_away(self._store, self.output_path, blob.version, tombstone)
        return None

    def write_status(self, status: Status) -> None:
        """Write the status, whatever it was. The lock stays as it is.

        Raises:
            SpecificationError: it is none of the STATUS_* values.
            LeaseLostError: `keep_lock` kept the lock, and another program has taken it over.
            StoreError: the store cannot be written.

        """
        known = get_args(Status)
        if status not in known:
            hint = did_you_mean(str(status), known) or f"use one of {', '.join(known)}"
            raise SpecificationError(f"`{status}` is no status", hint=hint)
        if self._is_kept:
            self.confirm_lock()
        self._store.put(self.path, status.encode())

    def try_acquire_lock(self) -> bool:
        """Take the lock; return False if another holds it.

        If this object sees no renewal of a lock for its time-to-live, it takes the lock over.
        """
        return self._claim().try_acquire()

    def wait_for_lock(self, *, force_run_failed: bool = True, force_rerun: bool = False) -> bool:
        """Wait until the lock is ours; return False if the output is built by then.

        Args:
            force_run_failed: whether a target that failed may be tried again.
            force_rerun: whether a target that is built is built again.

        Raises:
            PreviousTaskFailedError: it failed, and must not be tried again.

        """
        return self._claim().acquire(rerun_failed=force_run_failed, rebuild=force_rerun)

    def keep_lock(self) -> None:
        """Renew the lock, which is ours, from a thread until it is released."""
        self._claim().keep()
        self._is_kept = True

    def confirm_lock(self) -> None:
        """Make sure that the lock is still ours.

        Raises:
            LeaseLostError: it is another's, or was never ours.

        """
        self._claim().confirm()

    def refresh_lock(self) -> None:
        """Renew the lock: at least every 60 seconds, else others may take it.

        Raises:
            LeaseLostError: it is another's, or was never ours.

        """
        self._claim().renew()

    def release_lock(self) -> None:
        """Delete the lock if it is ours."""
        self._claim().release()
        self._lock, self._is_kept = None, False

    def has_active_lock(self) -> bool:
        """Return whether another holder has the lock, as far as this object saw."""
        return self._claim().is_held_by_other()

    def active_lock_holder(self) -> str | None:
        """Return who has the lock; None if nobody has it, or its holder is gone.

        That is the `worker_id` that the holder gave, with `_` in the place of spaces.
        """
        return self._claim().holder()

    def _claim(self) -> PathLock:
        if self._lock is None:
            self._lock = new_lock(self.output_path, self.worker_id)
        return self._lock


def new_lock(output: str, worker: str) -> PathLock:
    """Return a lock on an absolute output path, not taken yet, in the name of `worker`.

    Raises:
        StoreError: the store cannot write conditionally, so nothing can be locked there.

    """
    return PathLock(
        open_store(output),
        output,
        own_lease(worker),
        lambda lease: is_abandoned(here(), lease, layout.log_path(output, lease.attempt)),
        is_worked_on=lambda lease: is_worked_on(
            here(), lease, layout.log_path(output, lease.attempt)
        ),
        locks=locks_around(output) if not is_url(output) else None,
    )


def check_cache(output_path: str | os.PathLike[str]) -> bool:
    """Return whether an output is built.

    Raises:
        StoreError: its status cannot be read.

    """
    return StatusFile(output_path, worker_id()).status == STATUS_SUCCESS


def should_run(
    status_file: StatusFile,
    step_name: str | None = None,
    force_run_failed: bool = True,
    force_rerun: bool = False,
) -> bool:
    """Wait for the lock of an output and write RUNNING; return False if it is built already.

    If it returns True, the caller runs the step: it calls `refresh_lock` now and then, and at the
    end it writes a status and calls `release_lock`. `distributed_lock` does all of that but the
    status.

    Args:
        status_file: the output, and who asks.
        step_name: for messages; default: the output path.
        force_run_failed: whether a target that failed may be tried again.
        force_rerun: whether a target that is built is built again.

    Raises:
        PreviousTaskFailedError: it failed, and must not be tried again.

    """
    try:
        if not status_file.wait_for_lock(
            force_run_failed=force_run_failed, force_rerun=force_rerun
        ):
            return False
    except PreviousTaskFailedError as error:
        error.facts = (*error.facts, ("step", step_name)) if step_name else error.facts
        raise
    status_file.write_status(STATUS_RUNNING)
    return True
