"""From a seal to SUCCESS: the part of a commit that any run may finish.

Publishers may be many and slow. None may write over what came after the seal it publishes: a
document that is already there is replaced only if the seal was still in place after it was read.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from marin_build.errors import CorruptStateError
from marin_build.protocol import layout
from marin_build.protocol.artifact import artifact_file
from marin_build.protocol.documents import Attempt
from marin_build.protocol.latest import point_to_latest
from marin_build.protocol.status import STATUS_SUCCESS

if TYPE_CHECKING:
    from marin_build.protocol.documents import Publication
    from marin_build.protocol.look import Seen
    from marin_build.store.base import Store


@dataclass(frozen=True, slots=True)
class Publisher:
    """Publishes what the sealed lease of version `seal_version` commits."""

    store: Store
    output: str
    seal_version: str

    def publish(self, publication: Publication, status_version: str = "") -> None:
        """Write record, artifact and SUCCESS, in this order, then delete the sealed lease.

        The pointer to the newest build is there before SUCCESS is, as far as it can be written.

        Args:
            publication: what the sealed attempt commits.
            status_version: the version of the status that must not have changed since, or empty.

        """
        wait_for_pointer = point_to_latest(self.store, self.output, publication.record)
        if not self._write(layout.RECORD, publication.record.to_bytes()):
            return
        # A slow publisher of an earlier attempt may have left its artifact: null replaces it.
        # Data that was adopted where it lies keeps its own artifact; so does a step that wrote it.
        is_kept = publication.keeps_artifact or publication.record.adopted_from == self.output
        if not is_kept and (publication.has_artifact or publication.record.attempt > 1):
            artifact = artifact_file(publication.artifact, self.output)
            if not self._write(layout.ARTIFACT, artifact):
                return
        wait_for_pointer()
        if self._write(layout.STATUS, STATUS_SUCCESS.encode(), status_version):
            self.store.delete_if(f"{self.output}/{layout.LEASE}", self.seal_version)

    def _write(self, name: str, data: bytes, expected: str = "") -> bool:
        """Have `data` at a name; return False if the seal is gone: another run has published."""
        path = f"{self.output}/{name}"
        while True:
            version = (
                self.store.replace_if(path, data, expected)
                if expected
                else self.store.put_if_absent(path, data)
            )
            if version is not None:
                return True
            blob = self.store.get(path)
            if blob is not None and blob.data == data:
                return True  # another publisher's, or ours whose reply was lost
            if not self._is_sealed():
                return False
            expected = blob.version if blob is not None else ""

    def _is_sealed(self) -> bool:
        lease = self.store.get(f"{self.output}/{layout.LEASE}")
        return lease is not None and lease.version == self.seal_version


def finish_publishing(store: Store, output: str, seen: Seen) -> bool:
    """Publish the attempt that a sealed lease commits, after its holder left it there.

    If the machine went down before the attempt was on disk, its document is empty, and nothing can
    be published. Then the seal is taken off the lease, which is judged as any other from now on.

    Args:
        store: where the output lives.
        output: the output path.
        seen: a look that showed the seal.

    Returns:
        False if there is nothing to publish.

    Raises:
        CorruptStateError: the attempt document is gone or is not the one that was sealed.

    """
    assert seen.lease is not None
    path = layout.attempt_path(output, seen.lease.attempt)
    blob, lease = store.get_many([path, f"{output}/{layout.LEASE}"])
    if lease is None or lease.version != seen.lease_version:
        return True  # it is published; the status that was seen may be that of a later attempt
    if blob is not None and not blob.data:
        unsealed = replace(seen.lease, seal="")
        store.replace_if(f"{output}/{layout.LEASE}", unsealed.encode(), lease.version)
        return False
    if blob is None or hashlib.sha256(blob.data).hexdigest() != seen.lease.seal:
        raise CorruptStateError(
            f"the sealed attempt `{path}` is missing or was changed",
            consequence="the target was committed but cannot be published",
        )
    try:
        attempt = Attempt.from_bytes(blob.data)
    except ValueError:
        raise CorruptStateError(
            f"the sealed attempt `{path}` is not readable",
            consequence="the target was committed but cannot be published",
        ) from None
    if attempt.publish is None:
        raise CorruptStateError(f"the sealed attempt `{path}` commits nothing")
    Publisher(store, output, seen.lease_version).publish(attempt.publish, seen.status_version)
    return True
