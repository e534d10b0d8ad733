"""A look at one target: its status and its lease, with their versions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from marin_build.protocol import layout
from marin_build.protocol.lease import parse_lease
from marin_build.protocol.status import parse_status

if TYPE_CHECKING:
    from marin_build.protocol.lease import Lease
    from marin_build.protocol.status import Status
    from marin_build.store.base import Store


@dataclass(frozen=True, slots=True)
class Seen:
    """A target's state as one reader saw it; a version is empty where nothing is.

    `attempt` is the newest attempt the reader knows of, or None if he did not ask.
    """

    status: Status | None = None
    status_version: str = ""
    lease: Lease | None = None
    lease_version: str = ""
    attempt: int | None = None


def look(store: Store, output: str) -> Seen:
    """Return the status and the lease of a target.

    The status is read after the lease: whoever finds no lease then sees its holder's status.

    Raises:
        CorruptStateError: one of them is not readable.

    """
    lease_path, status_path = f"{output}/{layout.LEASE}", f"{output}/{layout.STATUS}"
    held = store.get(lease_path)
    said = store.get(status_path)
    return Seen(
        status=parse_status(said.data, status_path) if said is not None else None,
        status_version=said.version if said is not None else "",
        lease=parse_lease(held.data, lease_path) if held is not None else None,
        lease_version=held.version if held is not None else "",
    )
