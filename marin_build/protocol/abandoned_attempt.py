"""The document of an attempt whose holder died: who takes over, or unlocks, writes it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from marin_build.protocol import layout
from marin_build.protocol.documents import Attempt
from marin_build.text.moments import stamp

if TYPE_CHECKING:
    from marin_build.protocol.lease import Lease
    from marin_build.store.base import Store


def record_abandoned(store: Store, output: str, target: str, dead: Lease, message: str) -> None:
    """Write the document of an attempt whose holder died before it could, for people.

    Args:
        store: where the output lives.
        output: the output path.
        target: the target's id.
        dead: the holder's lease; one without an attempt, or of an `adopt`, has no document.
        message: how the attempt ended.

    Raises:
        StoreError: the store cannot be written.

    """
    if not dead.attempt or dead.is_adopting:
        return
    last_sign = stamp(dead.timestamp)
    attempt = Attempt(
        target=target,
        attempt=dead.attempt,
        run=dead.run,
        worker=dead.worker,
        engine=dead.engine,
        job=dead.job or None,
        result="abandoned",
        start=last_sign,
        end=last_sign,
        message=message,
    )
    store.put_if_absent(layout.attempt_path(output, dead.attempt), attempt.to_bytes())
