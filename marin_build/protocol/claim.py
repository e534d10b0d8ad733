"""What to do about a target, from what was seen of it: one pure function."""

from __future__ import annotations

import enum
from typing import TYPE_CHECKING

from marin_build.protocol.status import STATUS_SUCCESS

if TYPE_CHECKING:
    from marin_build.protocol.lease import Lease
    from marin_build.protocol.status import Status


class Claim(enum.Enum):
    """What somebody who wants the target built does next."""

    ACQUIRE = "create the lease"
    TAKE_OVER = "replace a stale lease"
    WAIT = "somebody else builds it"
    PUBLISH = "it is committed: finish the publishing"
    FINISHED = "it is built"


def claim(status: Status | None, lease: Lease | None, *, stale: bool, force: bool) -> Claim:
    """Return what to do.

    Args:
        status: the status file's token.
        lease: the lock file.
        stale: the observer judged the lease stale.
        force: build again even if it is built.

    """
    if lease is not None and lease.is_sealed:
        return Claim.PUBLISH
    if status == STATUS_SUCCESS and not force:
        return Claim.FINISHED
    if lease is None:
        return Claim.ACQUIRE
    return Claim.TAKE_OVER if stale else Claim.WAIT
