"""Ways to break the protocol. Each must be found by some schedule: else the simulation is blind."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from typing import TYPE_CHECKING, Any, cast

from marin_build.errors import StoppedError
from marin_build.protocol import claim_by_documents, layout
from marin_build.protocol.acquire import Claimant
from marin_build.protocol.documents import Attempt
from marin_build.protocol.held_target import Holding
from marin_build.protocol.lease import TIME_TO_LIVE, Lease, parse_lease
from marin_build.protocol.look import Seen, Watch
from marin_build.protocol.publish import Publisher
from marin_build.protocol.renewal import RENEW_EVERY, Keeping, Kept
from marin_build.protocol.state_machine import Event
from marin_build.protocol.state_machine import see as real_see
from marin_build.protocol.status import STATUS_RUNNING
from tests.sim import appliers
from tests.sim.world import Host

if TYPE_CHECKING:
    from collections.abc import Callable

    import pytest

    from marin_build.store.base import Blob

    Mutation = Callable[[pytest.MonkeyPatch], None]

    from marin_build.protocol.documents import Publication
    from marin_build.protocol.look import Seen
    from marin_build.store.base import Store


class Overwriting:
    """A store for which nothing is ever there already."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def put_if_absent(self, path: str, data: bytes) -> str | None:
        return self._store.put(path, data)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)


def publish_without_seal(patch: pytest.MonkeyPatch) -> None:
    """SUCCESS is written by whoever ends his work; the lease is not sealed."""

    def commit(self: Holding, publication: Publication, now: Any) -> None:
        self._write_attempt("succeeded", 0, None, now, publication)
        Publisher(self.store, self.output, self.version).publish(publication, self.status_version)

    patch.setattr(Holding, "commit", commit)


def publish_before_seal(patch: pytest.MonkeyPatch) -> None:
    """SUCCESS first, then the seal."""
    real = Holding._replace_lease

    def replace_lease(self: Holding, lease: Lease) -> None:
        if lease.is_sealed:
            path = f"{self.output}/{layout.STATUS}"
            self.store.replace_if(path, b"SUCCESS", self.status_version)
        real(self, lease)

    patch.setattr(Holding, "_replace_lease", replace_lease)


def seal_unconditionally(patch: pytest.MonkeyPatch) -> None:
    """The lease is replaced whoever has it."""

    def replace_lease(self: Holding, lease: Lease) -> None:
        self.version = self.store.put(f"{self.output}/{layout.LEASE}", lease.encode())
        self.lease = lease

    patch.setattr(Holding, "_replace_lease", replace_lease)


def renew_unconditionally(patch: pytest.MonkeyPatch) -> None:
    """The keeper looks whether it holds the lease, then writes without a condition."""

    def try_(self: Keeping, store: Store, timestamp: float) -> Kept:
        blob = store.get(self._path)
        if blob is None:
            return Kept.RELEASED
        lease = parse_lease(blob.data, self._path)
        if lease.nonce != self._nonce:
            return Kept.LOST
        if lease.is_sealed:
            return Kept.RELEASED
        store.put(self._path, lease.renewed(timestamp).encode())
        return Kept.RENEWED

    patch.setattr(Keeping, "_try", try_)


def ignore_the_deadline(patch: pytest.MonkeyPatch) -> None:
    """The keeper goes on as long as it does not see the lease in other hands."""

    def renew(self: Keeping, store: Store, timestamp: float) -> Kept:
        sent = self._clock()
        try:
            kept = self._try(store, timestamp)
        except Exception:  # noqa: BLE001 - a mutation
            kept = Kept.AWAY
        self.deadline = sent + TIME_TO_LIVE
        self.due = sent + (RENEW_EVERY if kept is Kept.RENEWED else 1.0)
        return kept

    patch.setattr(Keeping, "renew", renew)


def compare_wall_clocks(patch: pytest.MonkeyPatch) -> None:
    """A lease is stale when its time is long ago, by the observer's date."""
    real = Watch.look

    def look(self: Watch, lease: Lease, version: str, now: float) -> bool:
        changed = real(self, lease, version, now)
        self._since = lease.timestamp
        return changed

    patch.setattr(Host, "monotonic", Host.wall)
    patch.setattr(Watch, "look", look)


def forget_the_nonce(patch: pytest.MonkeyPatch) -> None:
    """All leases have the same nonce."""
    real = Claimant.acquire

    def acquire(self: Claimant, seen: Seen | None = None) -> Any:
        return real(replace(self, lease=replace(self.lease, nonce="same")), seen)

    patch.setattr(Claimant, "acquire", acquire)


def leave_out_the_nonce(patch: pytest.MonkeyPatch) -> None:
    """No lease has a nonce."""
    real = Claimant.acquire

    def acquire(self: Claimant, seen: Seen | None = None) -> Any:
        return real(replace(self, lease=replace(self.lease, nonce="")), seen)

    patch.setattr(Claimant, "acquire", acquire)


def forget_own_writes(patch: pytest.MonkeyPatch) -> None:
    """Whoever finds another version than his own has lost the lease."""
    real = Holding._replace_lease

    def replace_lease(self: Holding, lease: Lease) -> None:
        path = f"{self.output}/{layout.LEASE}"
        version = self.store.replace_if(path, lease.encode(), self.version)
        if version is None:
            blob = self.store.get(path)
            if blob is not None and parse_lease(blob.data, path) != lease:
                real(self, lease)
                return
            raise StoppedError("the lease was lost")
        self.lease, self.version = lease, version

    patch.setattr(Holding, "_replace_lease", replace_lease)


def reuse_the_number(patch: pytest.MonkeyPatch) -> None:
    """Every attempt is the first, and its document replaces the one that was there."""

    real = Holding._write_attempt

    def write_attempt(self: Holding, *rest: Any) -> Any:
        store = self.store
        self.store = cast("Store", Overwriting(store))
        try:
            return real(self, *rest)
        finally:
            self.store = store

    patch.setattr(Holding, "_write_attempt", write_attempt)
    patch.setattr(Claimant, "_next_attempt", lambda _self, _seen, _record: 1)


def keep_the_number(patch: pytest.MonkeyPatch) -> None:
    """Whoever takes over goes on under the number of the dead."""
    real = Claimant._next_attempt

    def next_attempt(self: Claimant, seen: Seen, record: Blob | None) -> int:
        return seen.lease.attempt if seen.lease is not None else real(self, seen, record)

    patch.setattr(Claimant, "_next_attempt", next_attempt)


def run_unconditionally(patch: pytest.MonkeyPatch) -> None:
    """RUNNING is written whatever the status is by then."""

    def say_running(self: Claimant, *_seen: Any, **_force: Any) -> tuple[Event, str]:
        path = f"{self.output}/{layout.STATUS}"
        return Event.OPENED, self.store.put(path, STATUS_RUNNING.encode())

    patch.setattr(Claimant, "_say_running", say_running)


def publish_unconditionally(patch: pytest.MonkeyPatch) -> None:
    """Record, artifact and SUCCESS are written whatever is there."""

    def write(self: Publisher, name: str, data: bytes, expected: str = "") -> bool:
        self.store.put(f"{self.output}/{name}", data)
        return True

    patch.setattr(Publisher, "_write", write)


def release_before_success(patch: pytest.MonkeyPatch) -> None:
    """The seal is removed before SUCCESS is there."""
    real = Publisher._write

    def write(self: Publisher, name: str, data: bytes, expected: str = "") -> bool:
        if name == layout.STATUS:
            self.store.delete_if(f"{self.output}/{layout.LEASE}", self.seal_version)
        return real(self, name, data, expected)

    patch.setattr(Publisher, "_write", write)


def take_over_a_seal(patch: pytest.MonkeyPatch) -> None:
    """A seal that nobody renews is taken over like any lease."""

    def see(seen: Seen, **rest: Any) -> Event:
        unsealed = replace(seen.lease, seal="") if seen.lease is not None else None
        return real_see(replace(seen, lease=unsealed), **rest)

    patch.setattr(claim_by_documents, "see", see)
    patch.setattr(appliers, "see", see)


def trust_an_old_look(patch: pytest.MonkeyPatch) -> None:
    """Who recognises his own lease does not look at the status again (found by a schedule)."""
    real = Claimant._say_running

    def say_running(self: Claimant, seen: Seen, number: int, *, force: bool) -> Any:
        status = None if seen.status == "SUCCESS" and not force else seen.status
        return real(self, replace(seen, status=status), number, force=force)

    patch.setattr(Claimant, "_say_running", say_running)


def publish_an_old_seal(patch: pytest.MonkeyPatch) -> None:
    """Whoever publishes does not look whether the seal is still there (found by a schedule)."""

    def finish(store: Store, output: str, seen: Seen) -> None:
        assert seen.lease is not None
        blob = store.get(layout.attempt_path(output, seen.lease.attempt))
        assert blob is not None
        assert hashlib.sha256(blob.data).hexdigest() == seen.lease.seal
        attempt = Attempt.from_bytes(blob.data)
        assert attempt.publish is not None
        Publisher(store, output, seen.lease_version).publish(attempt.publish, seen.status_version)

    patch.setattr(claim_by_documents, "finish_publishing", finish)


def leave_the_old_artifact(patch: pytest.MonkeyPatch) -> None:
    """An attempt without an artifact does not replace one (found by a schedule)."""
    real = Publisher._write

    def write(self: Publisher, name: str, data: bytes, expected: str = "") -> bool:
        return data == b"null" or real(self, name, data, expected)

    patch.setattr(Publisher, "_write", write)


def start_without_looking(patch: pytest.MonkeyPatch) -> None:
    """A body starts although its lease may have expired meanwhile."""
    patch.setattr(appliers.Applier, "_is_held", lambda _self, _holding: True)


MUTATIONS: tuple[Mutation, ...] = (
    publish_without_seal,
    publish_before_seal,
    seal_unconditionally,
    renew_unconditionally,
    ignore_the_deadline,
    compare_wall_clocks,
    forget_the_nonce,
    leave_out_the_nonce,
    forget_own_writes,
    reuse_the_number,
    keep_the_number,
    run_unconditionally,
    publish_unconditionally,
    release_before_success,
    take_over_a_seal,
    trust_an_old_look,
    publish_an_old_seal,
    leave_the_old_artifact,
    start_without_looking,
)
RARE: dict[Mutation, int] = {
    publish_unconditionally: 1_290,
    trust_an_old_look: 11_200,
    publish_an_old_seal: 17_300,
    leave_the_old_artifact: 2_500,
    start_without_looking: 230,
}
"""Seeds at which to begin to look for what only one schedule in hundreds notices: it saves time."""
