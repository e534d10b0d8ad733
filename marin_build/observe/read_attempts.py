"""The attempts at a target and their logs: which there are, and where each lies."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from marin_build.protocol import layout
from marin_build.protocol.attempt_reader import parse_attempt, recorded_end
from marin_build.protocol.builder_note import note_of, read_note
from marin_build.protocol.layout import local_log_path
from marin_build.protocol.lease import Lease
from marin_build.protocol.living_work import is_abandoned
from marin_build.protocol.look import look
from marin_build.workspace.places import is_url

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from marin_build.protocol.attempt_reader import EndedAttempt
    from marin_build.protocol.lease import Host
    from marin_build.protocol.status import Status
    from marin_build.store.base import Store


@dataclass(frozen=True, slots=True)
class Attempts:
    """What lies beside an output about the attempts at it.

    Args:
        output, target: the output path and the target's id.
        status: what the status says.
        lease: of the attempt that runs, or whose holder died; None if there is none.
        ended: the numbers of those that ended.
        logs: number -> bytes of the logs in the store.
        recorded: the end of one that left no document, as the record says it.

    """

    output: str
    target: str
    status: Status | None
    lease: Lease | None
    ended: frozenset[int]
    logs: Mapping[int, int]
    recorded: EndedAttempt | None = None

    @property
    def numbers(self) -> list[int]:
        """The numbers of all known attempts, the lowest first."""
        running = {self.lease.attempt} if self.lease is not None and self.lease.attempt else set()
        return sorted(self.ended | self.logs.keys() | running)

    def lease_of(self, number: int) -> Lease | None:
        """Return the lease of an attempt that has not ended; None if it has."""
        if self.lease is None or self.lease.attempt != number or number in self.ended:
            return None
        return self.lease


def read_attempts(store: Store, output: str, target: str) -> Attempts:
    """Read what lies beside an output about the attempts at it: a listing, status and lease.

    Raises:
        StoreError: the store cannot be read.

    """
    seen = look(store, output)  # before the listing: an attempt's document comes before its end
    ended, logs = set[int](), dict[int, int]()
    for file in store.files(f"{output}/{layout.LOGS}"):
        stem, dot, kind = file.path.rpartition(".")
        number = layout.attempt_number(f"{stem}.json") if dot else None
        if number is not None and kind == "json":
            ended.add(number)
        elif number is not None and kind == "log":
            logs[number] = file.size
    lease = seen.lease if seen.lease is not None and not seen.lease.is_sealed else None
    blob = store.get(f"{output}/{layout.RECORD}")
    recorded = recorded_end(blob.data) if blob is not None else None
    if recorded is not None:
        ended.add(recorded.attempt)
    if seen.lease is None and seen.status is None and blob is not None:
        lease = note_of(blob.data)
    return Attempts(output, target, seen.status, lease, frozenset(ended), logs, recorded)


def read_documents(
    store: Store, attempts: Attempts, numbers: Sequence[int]
) -> dict[int, EndedAttempt]:
    """Return attempt number -> how it ended, for those that did; read in one batch.

    Raises:
        CorruptStateError: one is not readable.

    """
    ended = [number for number in numbers if number in attempts.ended]
    paths = [layout.attempt_path(attempts.output, number) for number in ended]
    found: dict[int, EndedAttempt] = {}
    for number, path, blob in zip(ended, paths, store.get_many(paths), strict=True):
        if blob is not None:
            found[number] = parse_attempt(blob.data, path)
        elif attempts.recorded is not None and attempts.recorded.attempt == number:
            found[number] = attempts.recorded
    return found


def has_ended(store: Store, output: str, lease: Lease, host: Host, local_log: str) -> bool:
    """Return whether an attempt that held a lease has succeeded, failed or died with its holder.

    Args:
        store: where the output lives.
        output: the output path.
        lease: as it was seen at first.
        host: this machine.
        local_log: the attempt's log on this machine's disk.

    """
    paths = [f"{output}/{layout.LEASE}", layout.attempt_path(output, lease.attempt)]
    held, document = store.get_many(paths)
    if document is not None:
        return True
    if held is None:
        note = read_note(store, output)
        is_same = note is not None and note.nonce == lease.nonce
        return not is_same or is_abandoned(host, lease, local_log)
    from marin_build.protocol.lease import parse_lease

    current = parse_lease(held.data, paths[0])
    if current.nonce != lease.nonce or current.is_sealed:
        return True
    return is_abandoned(host, current, local_log)


def local_log(attempts: Attempts, number: int, run: str, host: Host) -> str | None:
    """Return where the log of an attempt lies on a disk of this machine; None if nowhere.

    For a local output it lies beside the output. For a remote one it is on this machine while the
    attempt runs here, and afterwards if the run could not upload it.

    Args:
        attempts: of the target.
        number: which attempt.
        run: the id of its run; empty if that is not known.
        host: this machine.

    """
    if not is_url(attempts.output):
        return layout.log_path(attempts.output, number)
    lease = attempts.lease_of(number)
    if lease is not None:
        is_here = bool(host.boot) and lease.boot == host.boot
        return local_log_path(attempts.output, attempts.target, lease) if is_here else None
    if not run or number in attempts.logs:
        return None
    path = local_log_path(attempts.output, attempts.target, Lease("", 0.0, run=run, attempt=number))
    return path if os.path.exists(path) else None
