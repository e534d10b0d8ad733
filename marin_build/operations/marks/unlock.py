"""A lease taken away by hand, because its holder died."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from marin_build.operations.planning.choose_targets import choose
from marin_build.plan.selection import only_one
from marin_build.protocol.builder_note import read_note
from marin_build.protocol.layout import local_log_path
from marin_build.protocol.living_work import (
    is_abandoned,
    is_worked_on,
    kill_work,
    living_work,
)
from marin_build.protocol.look import look
from marin_build.protocol.unlock import Unlocked, unlock
from marin_build.store.kernel_locks import locks_around
from marin_build.workspace.places import is_url

if TYPE_CHECKING:
    from marin_build.operations.loading.loading import Loaded
    from marin_build.protocol.lease import Lease
    from marin_build.protocol.living_work import Process


@dataclass(frozen=True, slots=True)
class UnlockedTarget:
    """A target without a lease.

    Args:
        target: its id.
        lease: the one that was removed, None if there was none.
        killed: what its dead holder had left working on it.

    """

    target: str
    lease: Lease | None

    killed: tuple[Process, ...] = ()


def unlock_target(
    loaded: Loaded, selector: str, *, force: bool = False, kill: bool = False
) -> UnlockedTarget:
    """Remove the lease on a target whose holder died, and write the end of its attempt.

    Args:
        loaded: the pipeline and its store.
        selector: which target.
        force: remove a lease whose holder may live.
        kill: kill what a dead holder has left working on this machine.

    Raises:
        UsageError: the selector selects several targets, or none.
        StoppedError: the holder may live, and `force` is not given; or the target is committed.
        StoreError: the store cannot be read or written.

    """
    chosen = choose(loaded, [selector])
    index = only_one(selector, chosen, "is unlocked at a time", "nothing was removed")
    target = loaded.targets.all[index]
    seen = look(loaded.store, target.output_path)
    lease = seen.lease
    if lease is None and seen.status is None:
        lease = read_note(loaded.store, target.output_path)

    def left_working(lease: Lease) -> tuple[Process, ...]:
        if not loaded.host.is_gone(lease):
            return ()
        log = local_log_path(target.output_path, target.id, lease)
        return living_work(lease.nonce, log, lease.run)

    def holder_died(lease: Lease) -> bool:
        log = local_log_path(target.output_path, target.id, lease)
        if lease.lock and _is_free(target.output_path, lease.lock):
            return not is_worked_on(loaded.host, lease, log)
        return is_abandoned(loaded.host, lease, log)

    killed: tuple[Process, ...] = ()
    if kill and lease is not None and not lease.is_sealed:
        killed, _ = kill_work(partial(left_working, lease))
    done = unlock(
        loaded.store,
        target.output_path,
        target=target.id,
        who=loaded.host.worker,
        is_abandoned=holder_died,
        left_working=left_working,
        force=force,
    )
    return UnlockedTarget(target.id, None if done is Unlocked.NONE_HELD else lease, killed)


def _is_free(output: str, identity: str) -> bool:
    """Return whether nobody holds the kernel's lock that a lease on a local output names."""
    locks = None if is_url(output) else locks_around(output)
    if locks is None:
        return False
    try:
        return locks.is_free(output, identity)
    finally:
        locks.close()
