"""Acquire a target, and end the attempt: commit, fail or release.

The order of writes is that of DESIGN "Leases and commit": lease, attempt, RUNNING; then, for a
commit, the attempt document with everything to publish, the seal (the one write that commits),
and the publishing.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from marin_build.errors import StoppedError
from marin_build.protocol import layout
from marin_build.protocol.claim import Claim, claim
from marin_build.protocol.documents import Attempt
from marin_build.protocol.lease import Lease, parse_lease
from marin_build.protocol.publishing import finish_publishing, publish
from marin_build.protocol.status import (
    STATUS_FAILED,
    STATUS_RUNNING,
    STATUS_SUCCESS,
    Status,
    parse_status,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from marin_build.protocol.documents import Publication, Result
    from marin_build.store.base import Store


@dataclass(frozen=True, slots=True)
class Seen:
    """A target's state as one reader saw it."""

    status: Status | None
    lease: Lease | None
    lease_version: str


def look(store: Store, output: str) -> Seen:
    """Return the status and the lease of a target."""
    lease_path = f"{output}/{layout.LEASE}"
    blob = store.get(lease_path)
    # The status is read after the lease: whoever finds no lease then sees its holder's status.
    status_path = f"{output}/{layout.STATUS}"
    (data,) = store.get_many([status_path])
    status = parse_status(data, status_path)
    if blob is None:
        return Seen(status, None, "")
    return Seen(status, parse_lease(blob.data, lease_path), blob.version)


@dataclass(frozen=True, slots=True)
class Held:
    """Somebody else holds the target."""

    lease: Lease
    version: str


@dataclass(frozen=True, slots=True)
class Finished:
    """The target is built; `published` if it was sealed and this call finished the publishing."""

    published: bool


@dataclass(slots=True)
class Holding:
    """A target under our lease, in one attempt."""

    store: Store
    output: str
    lease: Lease
    version: str
    attempt: Attempt

    def commit(self, publication: Publication, now: datetime) -> None:
        """Commit: write the attempt, seal the lease, publish.

        Raises:
            StoppedError: the lease was lost; nothing was committed.

        """
        document = self.attempt.model_copy(
            update={
                "result": "succeeded",
                "end": stamp(now),
                "exit_code": 0,
                "publish": publication,
            }
        )
        data = document.to_bytes()
        self.store.put(layout.attempt_path(self.output, self.attempt.attempt), data)
        sealed = self.lease.sealed(hashlib.sha256(data).hexdigest(), now.timestamp())
        version = self._replace_lease(sealed)
        publish(self.store, self.output, publication, version)

    def fail(self, result: Result, exit_code: int, message: str, now: datetime) -> bool:
        """End the attempt without success; return False if the lease was lost, or sealed.

        An interrupted target keeps the status RUNNING. Who lost the lease says nothing about the
        target any more: it is another's. What is sealed is committed, whatever came after.
        """
        try:
            self._replace_lease(self.lease.renewed(now.timestamp()))
        except StoppedError:
            return False
        document = self.attempt.model_copy(
            update={
                "result": result,
                "end": stamp(now),
                "exit_code": exit_code,
                "message": message,
            }
        )
        path = layout.attempt_path(self.output, self.attempt.attempt)
        self.store.put(path, document.to_bytes())
        if result == "failed":
            self.store.put(f"{self.output}/{layout.STATUS}", STATUS_FAILED.encode())
        return self.store.delete_if(f"{self.output}/{layout.LEASE}", self.version)

    def _replace_lease(self, lease: Lease) -> str:
        """Replace our lease, whoever of us renewed it last; return the new version."""
        path, expected = f"{self.output}/{layout.LEASE}", self.version
        if self.lease.is_sealed:
            raise StoppedError(f"the attempt on `{self.output}` is committed")
        while True:
            version = self.store.replace_if(path, lease.encode(), expected)
            if version is not None:
                self.lease, self.version = lease, version
                return version
            blob = self.store.get(path)
            current = parse_lease(blob.data, path) if blob is not None else None
            if blob is None or current is None or current.nonce != lease.nonce:
                who = current.describe() if current is not None else "nobody"
                raise StoppedError(
                    f"the lease on `{self.output}` was lost",
                    facts=[("holder now", who)],
                    consequence="this attempt was not committed",
                )
            if current.seal == lease.seal and current.is_sealed:
                return blob.version  # our own seal, whose reply was lost
            if current.is_sealed:
                raise StoppedError(f"the attempt on `{self.output}` is committed")
            expected = blob.version


def stamp(moment: datetime) -> str:
    """Return a moment as documents write it: UTC, ISO 8601."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds")


def acquire(
    store: Store,
    output: str,
    *,
    target: str,
    lease: Lease,
    is_abandoned: Callable[[Lease], bool],
    now: datetime,
    force: bool = False,
    stale_version: str = "",
) -> Holding | Held | Finished:
    """Take the lease on a target and open an attempt.

    Args:
        store: where the output lives.
        output: the output path.
        target: the target's id, for the attempt's document.
        lease: who we are: worker, run, nonce, boot, pid, start.
        is_abandoned: whether the holder of a lease has died on this host, and its work with it.
        now: the time, for people.
        force: build even what is built.
        stale_version: a lease version the caller has watched for longer than it may live.

    """
    lease_path = f"{output}/{layout.LEASE}"
    published = False
    while True:
        seen = look(store, output)
        stale = seen.lease is not None and (
            seen.lease_version == stale_version or is_abandoned(seen.lease)
        )
        match claim(seen.status, seen.lease, stale=stale, force=force):
            case Claim.FINISHED:
                return Finished(published)
            case Claim.PUBLISH:
                assert seen.lease is not None
                finish_publishing(store, output, seen.lease, seen.lease_version)
                if seen.status != STATUS_SUCCESS:
                    published, force = True, False
                continue
            case Claim.WAIT:
                assert seen.lease is not None
                return Held(seen.lease, seen.lease_version)
            case Claim.TAKE_OVER | Claim.ACQUIRE:
                number = _next_attempt(store, output)
                ours = replace(lease, attempt=number)
                version = (
                    store.put_if_absent(lease_path, ours.encode())
                    if seen.lease is None
                    else store.replace_if(lease_path, ours.encode(), seen.lease_version)
                )
                if version is None:
                    continue
                # Somebody may have built it between our look and our lease.
                if not force and _is_success(store, output):
                    store.delete_if(lease_path, version)
                    return Finished(published)
                return _open_attempt(store, output, target, ours, version, now)


def _is_success(store: Store, output: str) -> bool:
    path = f"{output}/{layout.STATUS}"
    return parse_status(store.get_many([path])[0], path) == STATUS_SUCCESS


def _next_attempt(store: Store, output: str) -> int:
    names = store.list(f"{output}/{layout.LOGS}")
    return max((layout.attempt_number(name) or 0 for name in names), default=0) + 1


def _open_attempt(
    store: Store, output: str, target: str, lease: Lease, version: str, now: datetime
) -> Holding:
    """Allocate the attempt's number; attempts are never deleted, so the epoch only grows."""
    attempt = Attempt(
        target=target,
        attempt=lease.attempt,
        run=lease.run,
        worker=lease.worker,
        result="running",
        start=stamp(now),
    )
    while (
        store.put_if_absent(layout.attempt_path(output, attempt.attempt), attempt.to_bytes())
        is None
    ):
        attempt = attempt.model_copy(update={"attempt": _next_attempt(store, output)})
    store.put(f"{output}/{layout.STATUS}", STATUS_RUNNING.encode())
    return Holding(store, output, replace(lease, attempt=attempt.attempt), version, attempt)
