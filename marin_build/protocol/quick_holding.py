"""A target that the kernel's lock alone keeps for us: for steps that are over within a second.

Where nothing lies at an output, the folder is made with a first file in it, `.executor_info`. It
says who builds, in the words of a lease, and gets the record at the end; then comes SUCCESS. There
is no lease, no RUNNING, no seal and no document of the attempt. A step that takes longer, or fails,
is announced first: from then on all is as without the lock.
"""

from __future__ import annotations

import threading
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from marin_build.errors import StoppedError, StoreError
from marin_build.protocol import layout
from marin_build.protocol.artifact import artifact_file
from marin_build.protocol.held_target import Holding
from marin_build.protocol.latest import point_to_latest
from marin_build.protocol.lease import parse_lease
from marin_build.protocol.state_machine import Event, State, transition
from marin_build.protocol.status import STATUS_RUNNING, STATUS_SUCCESS

if TYPE_CHECKING:
    from collections.abc import Mapping
    from contextlib import AbstractContextManager
    from datetime import datetime

    from marin_build.protocol.documents import Publication


class Beginning(Protocol):
    """The folder that was made for an output, with a first file in it: `store.begun_folder`."""

    def is_in_place(self) -> bool:
        """Return whether folder and file lie where they were made."""

    def finish(
        self, content: bytes, others: Mapping[str, bytes], last: str, token: bytes, absent: str
    ) -> bool:
        """Write the content of the file, then the others, then the last one, under a lock."""

    def take_back(self) -> None:
        """Delete the first file, and close what is open."""

    def close(self) -> None:
        """Close what is open."""


@dataclass
class QuickHolding(Holding):
    """A target under the kernel's lock, until it is announced; from then on under a lease, too."""

    begun: Beginning = field(kw_only=True)
    guard: AbstractContextManager[Any] = field(kw_only=True, default_factory=threading.Lock)
    """Held while it is announced or ended: one thread does the one, another does the other."""

    @property
    def is_quick(self) -> bool:
        """Whether only the kernel's lock keeps others out so far."""
        return self.state is State.QUICK

    def is_there(self) -> bool:
        """Return whether the output has what we wrote beside it."""
        with self.guard:
            return self.begun.is_in_place() if self.is_quick else Holding.is_there(self)

    def announce(self) -> bool:
        """Write lease and RUNNING, if that is not done; return False if the target is lost.

        Raises:
            StoreError: they cannot be written; it may be tried again.

        """
        with self.guard:
            return self._announce() if self.is_quick else self.state is not State.LOST

    def renew(self, clock: float, timestamp: float) -> bool:
        """Announce it, or renew the lease; return False if another holder has it by now."""
        return self.announce() and Holding.renew(self, clock, timestamp)

    def commit(self, publication: Publication, now: datetime) -> None:
        """Commit: record and SUCCESS; once it is announced, as any attempt.

        Raises:
            StoppedError: another has built there, or builds; nothing was committed.

        """
        with self.guard:
            # Our own lease lies there already, or who comes now does not see our lock.
            if self.state is State.QUICK and (self.version or not self.lock.is_in_place()):
                self._announce()
            if self.state is State.QUICK:
                self._finish(publication)
            elif self.state is State.LOST:
                raise self._lost()
            else:
                Holding.commit(self, publication, now)

    def fail(self, *args: Any, **kw: Any) -> bool:
        """Announce the attempt, and end it as any other."""
        return self.announce() and Holding.fail(self, *args, **kw)

    def withdraw(self) -> None:
        """Let go of the target, as if it had never been taken."""
        if self.announce():
            Holding.withdraw(self)

    def unlock(self) -> None:
        """Let go of the lock; the attempt is over."""
        with self.guard:
            if self.is_quick:  # it was given up: who finds the note goes on
                self.state = transition(self.state, Event.OVERTAKEN)
            self.begun.close()
        Holding.unlock(self)

    def _announce(self) -> bool:
        """Write lease and RUNNING on the condition that nothing is there."""
        if not self.begun.is_in_place():
            self.state = transition(self.state, Event.OVERTAKEN)
            return False
        lease_path, status_path = f"{self.output}/{layout.LEASE}", f"{self.output}/{layout.STATUS}"
        version = self.store.put_if_absent(lease_path, self.lease.encode())
        if version is None:  # another's; or ours, and RUNNING could not be written after it
            version = self._version_of_ours(lease_path)
        if version is not None:
            self.version = version
            said = self.store.put_if_absent(status_path, STATUS_RUNNING.encode())
            if said is None:
                blob = self.store.get(status_path)
                is_ours = blob is not None and blob.data == STATUS_RUNNING.encode()
                said = blob.version if blob is not None and is_ours else None
            if said is not None:
                self.status_version = said
                self.state = transition(self.state, Event.ANNOUNCED)
                with suppress(StoreError):  # the record of some attempt replaces it
                    self.begun.take_back()
                return True
            self.store.delete_if(lease_path, version)
        self.state = transition(self.state, Event.OVERTAKEN)
        return False

    def _version_of_ours(self, path: str) -> str | None:
        blob = self.store.get(path)
        if blob is None:
            return None
        is_ours = parse_lease(blob.data, path).nonce == self.lease.nonce
        return blob.version if is_ours else None

    def _finish(self, publication: Publication) -> None:
        point_to_latest(self.store, self.output, publication.record)
        others = {}
        if publication.has_artifact and not publication.keeps_artifact:
            others[layout.ARTIFACT] = artifact_file(publication.artifact, self.output)
        token = STATUS_SUCCESS.encode()
        if not self.begun.finish(
            publication.as_record(), others, layout.STATUS, token, layout.LEASE
        ):
            self.state = transition(self.state, Event.OVERTAKEN)
            raise self._lost()
        self.sealed = publication
        self.state = transition(self.state, Event.PUBLISHED)

    def _lost(self) -> StoppedError:
        return StoppedError(
            f"the lease on `{self.output}` was lost",
            facts=[("reason", "another builds there, or has built, or the folder was deleted")],
            consequence="this attempt was not committed",
        )
