"""From a seal to SUCCESS: the part of a commit that anybody may finish."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING

from marin_build.errors import CorruptStateError
from marin_build.protocol import layout
from marin_build.protocol.documents import Attempt
from marin_build.protocol.status import STATUS_SUCCESS

if TYPE_CHECKING:
    from marin_build.protocol.documents import Publication
    from marin_build.protocol.lease import Lease
    from marin_build.store.base import Store


def publish(store: Store, output: str, publication: Publication, lease_version: str) -> None:
    """Write record, artifact and SUCCESS, in this order, then delete the sealed lease."""
    store.put(f"{output}/{layout.RECORD}", publication.record.to_bytes())
    if publication.has_artifact:
        artifact = json.dumps(publication.artifact).encode()
        store.put(f"{output}/{layout.ARTIFACT}", artifact)
    store.put(f"{output}/{layout.STATUS}", STATUS_SUCCESS.encode())
    store.delete_if(f"{output}/{layout.LEASE}", lease_version)


def finish_publishing(store: Store, output: str, lease: Lease, lease_version: str) -> Attempt:
    """Publish what a sealed lease that somebody left commits; return its attempt.

    Raises:
        CorruptStateError: the attempt document is gone or is not the one that was sealed.

    """
    path = layout.attempt_path(output, lease.attempt)
    blob = store.get(path)
    if blob is None or hashlib.sha256(blob.data).hexdigest() != lease.seal:
        raise CorruptStateError(
            f"the sealed attempt `{path}` is missing or was changed",
            consequence="the target was committed but cannot be published",
        )
    attempt = Attempt.from_bytes(blob.data)
    if attempt.publish is None:
        raise CorruptStateError(f"the sealed attempt `{path}` commits nothing")
    publish(store, output, attempt.publish, lease_version)
    return attempt
