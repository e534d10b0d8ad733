"""The note in the place of a record: who builds an output by the kernel's lock alone, or did.

It has the words of a lease. Who finds it under the lock knows by it what a dead builder left
working, and whose data lies there.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from marin_build.errors import CorruptStateError
from marin_build.protocol import layout
from marin_build.protocol.lease import parse_lease

if TYPE_CHECKING:
    from marin_build.protocol.lease import Lease
    from marin_build.store.base import Store


def note_of(data: bytes) -> Lease | None:
    """Return who builds by the kernel's lock, from what lies in the place of a record; or None.

    Args:
        data: a record, or such a note.

    """
    if not data.startswith(b'{"worker_id":'):
        return None
    try:
        lease = parse_lease(data, "")
    except CorruptStateError:
        return None
    return lease if lease.nonce else None


def read_note(store: Store, output: str) -> Lease | None:
    """Return who builds an output by the kernel's lock alone, or did; None: nobody, or a lease is.

    Raises:
        StoreError: the store cannot be read.

    """
    if not store.is_local:
        return None
    blob = store.get(f"{output}/{layout.RECORD}")
    return note_of(blob.data) if blob is not None else None
