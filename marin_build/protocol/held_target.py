"""A target under our lease, in one attempt: commit it, or end it without success."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from marin_build.errors import StoppedError
from marin_build.protocol import layout
from marin_build.protocol.documents import Attempt
from marin_build.protocol.lease import parse_lease
from marin_build.protocol.newest_attempt import newest_attempt
from marin_build.protocol.publish import Publisher
from marin_build.protocol.state_machine import Event, State, transition
from marin_build.protocol.status import STATUS_FAILED, STATUS_RUNNING
from marin_build.store.kernel_locks import NO_LOCK
from marin_build.text.moments import stamp
from marin_build.workspace.places import is_url

if TYPE_CHECKING:
    from datetime import datetime

    from marin_build.pipeline.retries import Cause
    from marin_build.protocol.documents import Publication, Result
    from marin_build.protocol.lease import Lease
    from marin_build.store.base import Store
    from marin_build.store.kernel_locks import OutputLock


@dataclass(slots=True)
class Holding:
    """A target under our lease, in one attempt.

    Every write is conditional on what we wrote or saw last: a holder that slept until its lease was
    taken over changes nothing any more.
    """

    store: Store
    output: str
    target: str
    lease: Lease
    version: str
    status_version: str
    held_since: float
    """When the lease was last written, on the claimant's clock, at the instant of sending."""
    began: datetime
    state: State = State.RUNNING
    sealed: Publication | None = None
    """What was committed, once it is."""
    is_first: bool = False
    """Whether no status lay there before."""
    is_empty: bool = False
    """Whether there was surely no data when it was taken."""
    lock: OutputLock = NO_LOCK
    """The kernel's lock, held until `unlock`."""

    @property
    def is_quick(self) -> bool:
        """Whether only the kernel's lock keeps others out so far."""
        return False

    def is_there(self) -> bool:
        """Return whether a local output still has what we wrote beside it; True of a remote one."""
        ours = (f"{self.output}/{layout.STATUS}", f"{self.output}/{layout.LEASE}")
        return is_url(self.output) or any(map(os.path.exists, ours))

    def unlock(self) -> None:
        """Let go of the kernel's lock; the attempt is over."""
        self.lock.release()

    def renew(self, clock: float, timestamp: float) -> bool:
        """Renew the lease; return False if another holder has it by now.

        Args:
            clock: the instant of sending, on the claimant's clock.
            timestamp: seconds since the epoch, for people.

        """
        if self.state is not State.RUNNING:
            return False
        try:
            self._replace_lease(self.lease.renewed(timestamp))
        except StoppedError:
            return False
        self.held_since = clock
        return True

    def commit(self, publication: Publication, now: datetime) -> None:
        """Commit: write the attempt, seal the lease, publish.

        If the store did not answer, the caller may call it again, with the same arguments.

        Raises:
            StoppedError: the lease was lost; nothing was committed.

        """
        if self.sealed is None:
            attempt, data = self._write_attempt("succeeded", 0, None, now, publication)
            digest = hashlib.sha256(data).hexdigest()
            self._replace_lease(self.lease.sealed(digest, now.timestamp()))
            self.state = transition(self.state, Event.SEALED)
            self.sealed = attempt.publish
        assert self.sealed is not None
        Publisher(self.store, self.output, self.version).publish(self.sealed, self.status_version)
        self.state = transition(self.state, Event.PUBLISHED)

    def fail(
        self,
        result: Result,
        exit_code: int,
        message: str,
        now: datetime,
        *,
        cause: Cause | None = None,
        peak_memory: int | None = None,
        cpu_seconds: float | None = None,
        finished: Publication | None = None,
    ) -> bool:
        """End the attempt without success; return False if the lease was lost, or sealed.

        An interrupted target keeps the status RUNNING. A holder that lost its lease writes nothing
        about the target any more: another holder has it. A sealed attempt stays committed.
        """
        if self.state is not State.RUNNING:
            return False
        try:
            self._replace_lease(self.lease.renewed(now.timestamp()))
            self._write_attempt(
                result,
                exit_code,
                message,
                now,
                cause=cause,
                peak_memory=peak_memory,
                cpu_seconds=cpu_seconds,
                finished=finished,
            )
        except StoppedError:
            return False
        # RUNNING is written again, too: its new version keeps an old look from reusing our number.
        said = STATUS_FAILED if result == "failed" else STATUS_RUNNING
        status_path = f"{self.output}/{layout.STATUS}"
        self.store.replace_if(status_path, said.encode(), self.status_version)
        self.state = transition(self.state, Event.GAVE_UP)
        return self._release()

    def withdraw(self) -> None:
        """Let go of the target and leave nothing of ours there, as if it had never been taken."""
        if self.state is not State.RUNNING:
            return
        self.store.delete_if(f"{self.output}/{layout.STATUS}", self.status_version)
        self.state = transition(self.state, Event.GAVE_UP)
        self._release()

    def _write_attempt(
        self,
        result: Result,
        exit_code: int,
        message: str | None,
        now: datetime,
        publication: Publication | None = None,
        *,
        cause: Cause | None = None,
        peak_memory: int | None = None,
        cpu_seconds: float | None = None,
        finished: Publication | None = None,
    ) -> tuple[Attempt, bytes]:
        """Write the attempt's document, once; return it and its bytes.

        A number that another holder used (a person deleted its lease) is never written over: ours
        becomes the next free one. The lease gets it first, so a holder that lost it takes none.

        Raises:
            StoppedError: the lease was lost.

        """
        while True:
            attempt = Attempt(
                target=self.target,
                attempt=self.lease.attempt,
                run=self.lease.run,
                worker=self.lease.worker,
                engine=self.lease.engine,
                job=self.lease.job or None,
                result=result,
                start=stamp(self.began),
                end=stamp(now),
                exit_code=exit_code,
                message=message,
                cause=cause,
                peak_memory_bytes=peak_memory,
                cpu_seconds=cpu_seconds,
                publish=publication and _numbered(publication, self.lease.attempt),
                finished=finished and _numbered(finished, self.lease.attempt),
            )
            path, data = layout.attempt_path(self.output, attempt.attempt), attempt.to_bytes()
            if self.store.put_if_absent(path, data) is not None:
                return attempt, data
            blob = self.store.get(path)
            if blob is not None and blob.data == data:
                return attempt, data  # ours: the reply was lost
            number = max(attempt.attempt, newest_attempt(self.store, self.output)) + 1
            self._replace_lease(replace(self.lease, attempt=number, timestamp=now.timestamp()))

    def _release(self) -> bool:
        """Delete our lease, also if our keeper renewed it last; return False if another has one."""
        path = f"{self.output}/{layout.LEASE}"
        while not self.store.delete_if(path, self.version):
            blob = self.store.get(path)
            if blob is None:
                return True  # gone: the reply was lost
            if parse_lease(blob.data, path).nonce != self.lease.nonce:
                return False
            self.version = blob.version
        return True

    def _replace_lease(self, lease: Lease) -> None:
        """Replace our lease, also if our keeper renewed it last.

        Raises:
            StoppedError: it is not ours any more, or is sealed already.

        """
        path = f"{self.output}/{layout.LEASE}"
        if self.lease.is_sealed:
            raise StoppedError(f"the attempt on `{self.output}` is committed")
        while True:
            version = self.store.replace_if(path, lease.encode(), self.version)
            if version is not None:
                self.lease, self.version = lease, version
                return
            blob = self.store.get(path)
            current = parse_lease(blob.data, path) if blob is not None else None
            # The file holds what we wrote last, under a new version: the network repeated an old
            # request of ours, and others may have written meanwhile. Our keeper would have
            # written another time.
            is_echo = (
                blob is not None and blob.version != self.version and current == self.lease != lease
            )
            if blob is None or current is None or current.nonce != lease.nonce or is_echo:
                self.state = transition(self.state, Event.OVERTAKEN)
                who = current.describe() if current is not None else "none"
                raise StoppedError(
                    f"the lease on `{self.output}` was lost",
                    facts=[("holder now", who)],
                    consequence="this attempt was not committed",
                )
            self.version = blob.version
            if current == lease:
                self.lease = lease
                return  # our own write, whose reply was lost
            if current.is_sealed:
                raise StoppedError(f"the attempt on `{self.output}` is committed")


def _numbered(publication: Publication, attempt: int) -> Publication:
    """Return a publication whose record carries the number of the attempt that commits it."""
    if publication.record.attempt == attempt:
        return publication
    record = publication.record.model_copy(update={"attempt": attempt})
    return publication.model_copy(update={"record": record})
