"""A lease taken away by hand, because its holder died."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from marin_build.operations.plan import choose
from marin_build.plan.selection import only_one
from marin_build.protocol.living_work import is_abandoned
from marin_build.protocol.layout import local_log_path
from marin_build.protocol.look import look
from marin_build.protocol.unlock import Unlocked, unlock

if TYPE_CHECKING:
    from marin_build.operations.loading import Loaded
    from marin_build.protocol.lease import Lease


@dataclass(frozen=True, slots=True)
class UnlockedTarget:
    """A target without a lease; `lease` is the one that was removed, None if there was none."""

    target: str
    lease: Lease | None


def unlock_target(loaded: Loaded, selector: str, *, force: bool = False) -> UnlockedTarget:
    """Remove the lease on a target whose holder died, and write the end of its attempt.

    Args:
        loaded: the pipeline and its store.
        selector: which target.
        force: remove a lease whose holder may live.

    Raises:
        UsageError: the selector selects several targets, or none.
        StoppedError: the holder may live, and `force` is not given; or the target is committed.
        StoreError: the store cannot be read or written.

    """
    chosen = choose(loaded, [selector])
    index = only_one(selector, chosen, "is unlocked at a time", "nothing was removed")
    target = loaded.targets.all[index]
    lease = look(loaded.store, target.output_path).lease

    done = unlock(
        loaded.store,
        target.output_path,
        target=target.id,
        who=loaded.host.worker,
        is_abandoned=lambda lease: is_abandoned(
            loaded.host, lease, local_log_path(target.output_path, target.id, lease)
        ),
        force=force,
    )
    return UnlockedTarget(target.id, None if done is Unlocked.NONE_HELD else lease)
