"""The invariants, judged at every change of the store and at every byte a body writes.

The judge sees everything and all at once: what was really written, when, and who stood still.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from marin_build.protocol import layout
from marin_build.protocol.documents import Attempt, Record
from marin_build.protocol.lease import Lease, parse_lease

if TYPE_CHECKING:
    from marin_build.protocol.documents import Publication
    from marin_build.store.base import Blob
    from tests.sim.bucket import Bucket
    from tests.sim.world import Actor, World

RECORDS_ARE_CLEARED = not layout.is_kept(layout.RECORD)
"""Whether who clears what an earlier attempt left deletes its record and artifact too, which is
no conditional write: carried out late, it takes away those of a later attempt. Then nothing is
said of a target where that happened."""
_YOUNGEST_STALE = 59.0
"""Seconds: the time-to-live, as the fastest clock counts it."""


@dataclass(slots=True)
class Body:
    """Some run of a step's body, and who must stop it when its lease is lost."""

    output: str
    nonce: str
    attempt: int
    forced: bool
    guards: list[Actor]
    launch: str = ""
    """The gang it is a rank of: ranks of one launch work side by side."""
    number: int = 0
    excused_until: float = 0.0
    checked_at: float = 0.0
    """When who asked for it began to make sure that he holds the lease."""

    def is_excused(self) -> bool:
        """Return whether who must stop it could not."""
        return self.guards[0].world.now < self.excused_until or any(
            guard.is_excused() for guard in self.guards
        )


class Holder(Protocol):
    """Who takes leases."""

    def is_dead(self) -> bool:
        """Return whether it died, and all it had started with it."""


@dataclass(slots=True)
class Truth:
    """What really happened to one target."""

    lease: Lease | None = None
    lease_written: float = 0.0
    opened: set[str] = field(default_factory=set)
    """Every nonce that ever opened an attempt."""
    numbers: dict[int, str] = field(default_factory=dict)
    """Which nonce opened an attempt of a number."""
    newest: int = 0
    committed: list[tuple[Lease, Publication]] = field(default_factory=list)
    is_built: bool = False
    """Sealed, and not opened again by force."""
    bodies: int = 0
    running: Body | None = None
    """Whose body began last."""
    tainted: bool = False
    """Whether somebody who could not be stopped in time touched the data."""


class Judge:
    """Judges; `forcing` says which nonces may build what is built."""

    def __init__(self, world: World, bucket: Bucket, outputs: list[str], *, digests: bool) -> None:
        self._world = world
        self._bucket = bucket
        self._digests = digests
        self.truths = {output: Truth() for output in outputs}
        self.forcing: set[str] = set()
        self.holders: dict[str, Holder] = {}
        """Who used which nonce."""
        bucket.judge = self

    def wrote(
        self, actor: Actor, path: str, old: Blob | None, new: Blob | None, *, late: bool
    ) -> None:
        """Judge one change of the store."""
        output, _, name = path.removeprefix("gs://").partition("/")
        output, truth = f"gs://{output}", self.truths[f"gs://{output}"]
        if name == layout.LEASE:
            self._lease(output, truth, new, late=late)
        elif name == layout.STATUS:
            self._status(output, truth, actor, old, new)
        elif name.startswith(layout.LOGS):
            if old is not None:
                self._violate(output, f"`{name}` was written over")
        elif name in (layout.RECORD, layout.ARTIFACT):
            if new is None and RECORDS_ARE_CLEARED and (late or actor.is_excused()):
                truth.tainted = True
            elif self._says_success(output):
                self._check_success(output, truth)
        elif new is None and (truth.lease is None or truth.lease.nonce != actor.nonce or late):
            truth.tainted = True  # data is not fenced: what was deleted may be another's by now
            if not (late or actor.is_excused()):
                self._violate(output, "data is deleted without a lease")

    def is_dead(self, nonce: str) -> bool:
        """Return whether the holder of a nonce died, with all it had started."""
        return nonce in self.holders and self.holders[nonce].is_dead()

    def opened(self, output: str, lease: Lease) -> None:
        """Judge that somebody believes to have opened an attempt."""
        truth = self.truths[output]
        truth.opened.add(lease.nonce)
        other = truth.numbers.setdefault(lease.attempt, lease.nonce)
        if other != lease.nonce and not self._digests:
            self._violate(output, f"attempt {lease.attempt} was given out twice")

    def began(self, body: Body) -> None:
        """Judge that a body starts."""
        truth = self.truths[body.output]
        truth.bodies += 1
        body.number = truth.bodies
        if truth.is_built and not body.forced and not body.is_excused():
            self._violate(body.output, "what is committed is built again")
        holder = truth.lease.nonce if truth.lease is not None else ""
        if holder != body.nonce and not body.is_excused():
            self._violate(body.output, "a body starts without a lease")
        if holder == body.nonce or truth.running is None:
            truth.running = body

    def write(self, actor: Actor, body: Body, name: str) -> None:
        """Have a body write a file, and judge that it does."""
        data, path = body.nonce.encode(), f"{body.output}/{name}"
        self._bucket.write(actor, path, data, absent=False, version="", late=False)
        truth = self.truths[body.output]
        running = truth.running
        is_side_by_side = running is not None and running.launch and running.launch == body.launch
        if running is not None and running.number > body.number and not is_side_by_side:
            truth.tainted = True
            if not body.is_excused():
                self._violate(body.output, f"two bodies write: {body.nonce}, {running.nonce}")
        elif truth.lease is None or truth.lease.nonce != body.nonce:
            truth.tainted = True
            if not body.is_excused():
                self._violate(body.output, "a body writes without a lease")

    def gave_up(self, output: str, nonce: str) -> None:
        """Judge that somebody believes not to have committed."""
        lease = self.truths[output].lease
        if lease is not None and lease.is_sealed and lease.nonce == nonce:
            self._violate(output, "who committed was told that he did not")

    def check_end(self, output: str, *, forced: bool) -> None:
        """Judge what is left when everything has come to its end."""
        truth = self.truths[output]
        if not self._says_success(output):
            self._violate(output, "it is not built in the end")
            return
        if not forced and len(truth.committed) != 1:
            self._violate(output, f"it was committed {len(truth.committed)} times")
        if truth.lease is not None and truth.lease.is_sealed:
            self._violate(output, "a seal was left behind")
        if truth.tainted:
            return
        self._check_success(output, truth)
        if not truth.committed:
            return
        lease, publication = truth.committed[-1]
        for entry in publication.manifest:
            blob = self._bucket.get(f"{output}/{entry.path}")
            if blob is None or blob.data.decode() != lease.nonce:
                self._violate(output, f"data `{entry.path}` is not of the committed attempt")

    def _lease(self, output: str, truth: Truth, new: Blob | None, *, late: bool) -> None:
        old, lease = truth.lease, parse_lease(new.data, "") if new is not None else None
        age = self._world.now - truth.lease_written
        truth.lease, truth.lease_written = lease, self._world.now
        if old is not None and old.is_sealed:
            if lease is not None:
                self._violate(output, "a seal was replaced")
            elif not self._says_success(output):
                self._violate(output, "a seal was removed before SUCCESS")
        if lease is None:
            return
        if old is not None and old.nonce == lease.nonce:
            if lease.attempt < old.attempt:
                self._violate(output, "the number of an attempt sank")
        elif lease.nonce in truth.opened and not late:
            self._violate(output, f"{lease.nonce} holds it again")
        elif old is not None:
            if age < _YOUNGEST_STALE and not self.is_dead(old.nonce):
                self._violate(output, f"taken over after {age:.0f} s from {old.nonce}")
            if lease.attempt <= old.attempt:
                self._violate(output, "taken over without a new number")
        if lease.is_sealed:
            self._sealed(output, truth, old, lease)
        if not late:
            truth.newest = max(truth.newest, lease.attempt)

    def _sealed(self, output: str, truth: Truth, old: Lease | None, lease: Lease) -> None:
        if old is None or old.nonce != lease.nonce or old.attempt != lease.attempt:
            self._violate(output, "sealed by one who did not hold it")
        if lease.attempt < truth.newest:
            self._violate(output, f"attempt {lease.attempt} commits after {truth.newest}")
        if truth.is_built:
            self._violate(output, "committed twice")
        blob = self._bucket.get(layout.attempt_path(output, lease.attempt))
        if blob is None or hashlib.sha256(blob.data).hexdigest() != lease.seal:
            self._violate(output, "the seal names another document than is there")
            return
        attempt = Attempt.from_bytes(blob.data)
        if attempt.publish is None or attempt.publish.record.attempt != lease.attempt:
            self._violate(output, "the sealed document commits something else")
            return
        truth.committed.append((lease, attempt.publish))
        truth.is_built = True

    def _status(
        self, output: str, truth: Truth, actor: Actor, old: Blob | None, new: Blob | None
    ) -> None:
        said = new.data.decode() if new is not None else ""
        was_success = old is not None and old.data == b"SUCCESS"
        if said == "SUCCESS":
            if not truth.is_built:
                self._violate(output, "SUCCESS of what is not committed")
            else:
                self._check_success(output, truth)
            return
        if said == "RUNNING" and actor.nonce in self.forcing:
            truth.is_built = False
        elif truth.is_built and (was_success or not self._digests):
            # RUNNING has the same digest in every attempt: one who slept may still write over it.
            # Whoever publishes the seal sees to it that SUCCESS has the last word.
            self._violate(output, f"{said or 'nothing'} over what is committed")

    def _says_success(self, output: str) -> bool:
        blob = self._bucket.get(f"{output}/{layout.STATUS}")
        return blob is not None and blob.data == b"SUCCESS"

    def _check_success(self, output: str, truth: Truth) -> None:
        """Judge that record and artifact are those of the attempt that was sealed last."""
        if not truth.committed:
            self._violate(output, "SUCCESS without a seal")
            return
        if truth.tainted and RECORDS_ARE_CLEARED:
            return
        publication = truth.committed[-1][1]
        blob = self._bucket.get(f"{output}/{layout.RECORD}")
        if blob is None:
            self._violate(output, "SUCCESS without its record")
        elif Record.from_bytes(blob.data) != publication.record:
            self._violate(output, "SUCCESS with the record of another attempt")
        blob = self._bucket.get(f"{output}/{layout.ARTIFACT}")
        if (json.loads(blob.data) if blob is not None else None) != publication.artifact:
            self._violate(output, "SUCCESS with the artifact of another attempt")

    def _violate(self, output: str, what: str) -> None:
        self._world.violate(f"{output}: {what}")
