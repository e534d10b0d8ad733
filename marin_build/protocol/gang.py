"""A gang: several hosts, its ranks, for one step. One lease, held by the leader, rank 0.

    leader    acquires with gang_lease; clears; write_start; runs its part; read_ends -> verdict;
              seals when all ended well, else stop_ranks, and then fails
    rank      look_as_rank again and again: wait | work | stop; at its end: write_end

A launch is one start of the whole gang by an engine, named so that every rank knows it (a job id
with the number of its restart). Ranks never take a lease, so none of them can outlive the leader's.
"""

from __future__ import annotations

import enum
from dataclasses import replace
from typing import TYPE_CHECKING, Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from marin_build.errors import CorruptStateError, StoreError
from marin_build.pipeline.retries import Cause  # noqa: TC001 - pydantic reads it
from marin_build.protocol import layout
from marin_build.protocol.lease import TIME_TO_LIVE, parse_lease
from marin_build.protocol.renewal import MARGIN

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from marin_build.protocol.lease import Lease
    from marin_build.store.base import Blob, Store


LOOK_EVERY = 5.0
"""Seconds between two looks of a rank at the lease; it scales with the time to live."""
_LOCAL_LOOK_EVERY = 1.0
"""The same where a look costs nothing."""


def pause_between_looks(store: Store, time_to_live: float) -> float:
    """Return the seconds between two looks at the lease, or at the ends of the ranks."""
    pause = _LOCAL_LOOK_EVERY if store.is_local else LOOK_EVERY
    return pause * time_to_live / TIME_TO_LIVE


def gang_lease(lease: Lease, launch: str) -> Lease:
    """Return the lease that the leader of a launch acquires with.

    It names no process: the leader's death is no sign that the ranks have ended, so even an
    observer on the same machine waits until the lease has aged.
    """
    return replace(lease, nonce=launch, boot="", pid=0, start=0)


class Standing(enum.Enum):
    """What a rank may do."""

    WAIT = "the leader has not begun, or its lease is not known to live: do nothing yet"
    WORK = "the leader holds the target for this launch, until the deadline at least"
    STOP = "the lease changed, ended or aged out, or the leader failed: say so, and end"


class RankWatch:
    """What one rank knows of the leader's lease.

    A lease counts from the last look that did not show it, not from the first one that did: an
    observer that may take it over saw it no earlier than that. So a rank that finds a
    lease at its very first look waits until it is renewed. STOP is final: the engine starts the
    gang again, as another launch.

    Args:
        launch: the nonce that the leader of this launch acquires with.

    """

    def __init__(self, launch: str) -> None:
        self.launch = launch
        self.attempt = 0
        """Number of the attempt of this launch; 0 as long as it is not known."""
        self.deadline = 0.0
        """The instant, on the rank's clock, at which it must have stopped unless it looks again."""
        self._works = False
        self._version = ""
        self._looked_at: float | None = None

    def look(
        self, lease: Lease | None, version: str, sent: float, *, has_begun: bool = True
    ) -> Standing:
        """Take note of a look at the lease.

        Args:
            lease: the lock file's content, if there is one.
            version: its version in the store.
            sent: the instant at which the look was sent, on a clock that counts sleep.
            has_begun: whether the leader said that the ranks may start.

        """
        before, self._looked_at = self._looked_at, sent
        if lease is None or lease.nonce != self.launch or lease.is_sealed:
            self._version = ""
            return Standing.STOP if self.attempt else Standing.WAIT
        self.attempt = self.attempt or lease.attempt
        if version != self._version:
            self._version = version
            life = lease.time_to_live * (1 - MARGIN / TIME_TO_LIVE)
            self.deadline = before + life if before is not None else sent
        if self.is_over(sent):
            return Standing.STOP if self._works else Standing.WAIT
        if not self._works and not has_begun:
            return Standing.WAIT
        self._works = True
        return Standing.WORK

    def is_over(self, now: float) -> bool:
        """Return whether, as far as the rank knows, another holder may have the lease by now."""
        return now >= self.deadline


def look_as_rank(
    store: Store, output: str, watch: RankWatch, clock: Callable[[], float]
) -> Standing:
    """Look whether a rank may work; past `watch.deadline` it must not, whatever a look said.

    Args:
        store: where the output lives.
        output: the output path.
        watch: what the rank knows; every look of it is made here.
        clock: seconds, on a clock that counts sleep.

    Raises:
        StoreError: the store cannot be reached.
        CorruptStateError: a document is not readable.

    """
    path, sent = f"{output}/{layout.LEASE}", clock()
    blob = store.get(path)
    lease = parse_lease(blob.data, path) if blob is not None else None
    has_begun = False
    if lease is not None and lease.nonce == watch.launch:
        start, end = store.get_many(
            [_start_path(output, lease.attempt), end_path(output, lease.attempt, 0)]
        )
        has_begun = start is not None and start.data == watch.launch.encode()
        leader = _parse_end(end, end_path(output, lease.attempt, 0), watch.launch)
        if leader is not None and leader.exit_code:
            watch.attempt = lease.attempt
            return Standing.STOP
    return watch.look(lease, blob.version if blob is not None else "", sent, has_begun=has_begun)


class RankEnd(BaseModel):
    """How one rank of an attempt ended.

    `at`: seconds since the epoch, by the rank's clock, to show failures in their likely order.
    `was_stopped`: it did not fail by itself; a signal, or another rank's failure, ended it.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    schema_version: Literal[1] = 1
    launch: str
    attempt: int
    rank: int
    exit_code: int
    message: str | None = None
    cause: Cause | None = None
    at: float = 0.0
    was_stopped: bool = False
    peak_memory_bytes: int | None = None
    cpu_seconds: float | None = None


class Verdict(enum.Enum):
    """What the ends of the ranks mean for the attempt."""

    OPEN = "some rank has not ended"
    SUCCEEDED = "all ended well: the leader verifies and seals"
    FAILED = "some rank failed: the leader says so, waits for the others, and ends the attempt"


def verdict(ends: Sequence[RankEnd | None]) -> Verdict:
    """Return what the ends of all ranks mean; None stands for one that has not ended."""
    if any(end is not None and end.exit_code for end in ends):
        return Verdict.FAILED
    return Verdict.OPEN if any(end is None for end in ends) else Verdict.SUCCEEDED


def end_path(output: str, attempt: int, rank: int) -> str:
    """Return the path of the document that says how a rank ended."""
    return f"{layout.ranks_folder(output, attempt)}/rank-{rank}.json"


def _start_path(output: str, attempt: int) -> str:
    return f"{layout.ranks_folder(output, attempt)}/start"


def write_start(store: Store, output: str, *, launch: str, attempt: int) -> bool:
    """Let the ranks start: the attempt is open, and what others left is cleared.

    Return False if another launch has started under that number; then no rank of ours starts.

    Raises:
        StoreError: the store cannot be reached; the ranks may have been let go all the same.

    """
    return _write_once(store, _start_path(output, attempt), launch.encode())


def write_end(store: Store, output: str, end: RankEnd) -> bool:
    """Write how a rank ended, once; return False if another end is there already.

    Raises:
        StoreError: the store cannot be reached.

    """
    path = end_path(output, end.attempt, end.rank)
    return _write_once(store, path, end.model_dump_json().encode())


def _write_once(store: Store, path: str, data: bytes) -> bool:
    if store.put_if_absent(path, data) is not None:
        return True
    blob = store.get(path)
    return blob is not None and blob.data == data  # ours: the reply was lost


def read_ends(
    store: Store, output: str, *, launch: str, attempt: int, ranks: Sequence[int]
) -> list[RankEnd | None]:
    """Return how ranks ended; None for one that has not, or whose end is of another launch.

    Raises:
        StoreError: the store cannot be reached.
        CorruptStateError: a document is not readable.

    """
    paths = [end_path(output, attempt, rank) for rank in ranks]
    blobs = store.get_many(paths)
    return [_parse_end(blob, path, launch) for blob, path in zip(blobs, paths, strict=True)]


def _parse_end(blob: Blob | None, path: str, launch: str) -> RankEnd | None:
    try:
        end = RankEnd.model_validate_json(blob.data) if blob is not None else None
    except ValidationError as error:
        raise CorruptStateError(
            f"the end of a rank, `{path}`, is not readable",
            consequence="the attempt is not committed",
        ) from error
    return end if end is not None and end.launch == launch else None


def stop_ranks(
    store: Store,
    output: str,
    end: RankEnd,
    ranks: Sequence[int],
    *,
    clock: Callable[[], float],
    wait: Callable[[float], None],
    time_to_live: float = TIME_TO_LIVE,
) -> bool:
    """Write the leader's failure, and wait until no other rank works any more.

    The next attempt must not meet them: the leader lets go of the lease only after this. A rank
    that can read the end stops at its next look; one that cannot, when the lease has aged for it.

    Args:
        store: where the output lives.
        output: the output path.
        end: the leader's end, a failure.
        ranks: the others.
        clock: seconds, on a clock that counts sleep.
        wait: sleeps.
        time_to_live: of the lease, in seconds.

    Returns:
        False if the failure could not be written: then the lease must be left to age.

    """
    began, is_said = clock(), False
    pause = pause_between_looks(store, time_to_live)
    while clock() - began <= time_to_live:
        try:
            if not is_said:
                is_said, began = write_end(store, output, end), clock()
            ends = read_ends(store, output, launch=end.launch, attempt=end.attempt, ranks=ranks)
            if is_said and all(other is not None for other in ends):
                return True
        except StoreError:
            pass  # the next round tries again
        wait(pause)
    return is_said
