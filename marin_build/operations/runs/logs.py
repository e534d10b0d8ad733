"""What attempts at a target printed: which attempts there are, and the log of one as it grows."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from marin_build.errors import UsageError
from marin_build.observe.read_attempts import has_ended, local_log, read_attempts, read_documents
from marin_build.observe.read_logs import copy_log
from marin_build.operations.engine_jobs.read_jobs import read_jobs
from marin_build.operations.planning.choose_targets import choose
from marin_build.plan.selection import only_one
from marin_build.protocol import layout
from marin_build.text.moments import moment_text
from marin_build.text.readable import printable
from marin_build.workspace.places import is_url

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from marin_build.observe.read_attempts import Attempts
    from marin_build.operations.engine_jobs.read_jobs import SeenJobs
    from marin_build.operations.loading.loading import Loaded
    from marin_build.protocol.attempt_reader import EndedAttempt
    from marin_build.protocol.lease import Host, Lease
    from marin_build.store.base import Store


_LOOK_EVERY = 0.2
"""Seconds between two looks at a log that is followed."""
_REMOTE_LOOKS = 10
"""One in so many of these looks reads the lease, if that is in a bucket."""


@dataclass(frozen=True, slots=True)
class AttemptSeen:
    """One attempt at a target, as one look showed it.

    Args:
        number: counts from 1.
        others: how many other attempts at the target are known.
        ended: how it ended; None if it has not, or if that is not known.
        lease: of an attempt that has not ended; None if it has, or if that is not known.
        is_gone: whether the holder of that lease has died on this machine.
        log_size: bytes of its log in the store; None if there is none.

    """

    number: int
    others: int
    ended: EndedAttempt | None
    lease: Lease | None
    is_gone: bool
    log_size: int | None

    @property
    def how(self) -> str:
        """How it ended, or that it runs, in words on one line."""
        if self.ended is not None:
            code = self.ended.exit_code
            words = [
                self.ended.result + (f", exit code {code}" if code else ""),
                moment_text(str(self.ended.end)),
                f"{self.ended.worker}, run {self.ended.run}",
            ]
        elif self.lease is None:
            words = ["how it ended is not known"]
        else:
            state = "its holder is gone" if self.is_gone else "running"
            words = [state, f"{self.lease.worker}, run {self.lease.run}"]
        return printable(", ".join(words))


def list_attempts(loaded: Loaded, selector: str) -> tuple[AttemptSeen, ...]:
    """Return all attempts at a target that are known, the oldest first.

    Args:
        loaded: the pipeline and its store.
        selector: which target.

    Raises:
        UsageError: the selector selects several targets, or none; or no attempt is known.
        CorruptStateError: the end of an attempt is not readable.
        StoreError: the store cannot be read.

    """
    attempts = _attempts_at(loaded, selector)
    return seen_attempts(loaded.store, loaded.host, attempts, attempts.numbers)


def seen_attempts(
    store: Store, host: Host, attempts: Attempts, numbers: Sequence[int]
) -> tuple[AttemptSeen, ...]:
    """Return some attempts at a target, each with how it ended.

    Args:
        store: where the output lives.
        host: this machine.
        attempts: at the target.
        numbers: which of them.

    Raises:
        CorruptStateError: the end of an attempt is not readable.
        StoreError: the store cannot be read.

    """
    ends = read_documents(store, attempts, numbers)
    return tuple(_seen(host, attempts, number, ends) for number in numbers)


def copy_attempt_log(
    loaded: Loaded,
    selector: str,
    number: int | None = None,
    *,
    rank: int = 0,
    follow: bool = False,
    write: Callable[[bytes], object],
    on_attempt: Callable[[AttemptSeen], object],
) -> AttemptSeen:
    """Copy the log of an attempt, each line with its time; return the attempt as it was before.

    Args:
        loaded: the pipeline and its store.
        selector: which target.
        number: which attempt; None: the newest.
        rank: which rank of a gang, whose leader, 0, has the log of the attempt itself.
        follow: go on until the attempt ends, if its log lies on this machine.
        write: takes the bytes of the log; not called if there is no log.
        on_attempt: gets the attempt before its log is written, and, if that was followed, once
            more when the attempt has ended.

    Raises:
        UsageError: the selector selects several targets, or none; there is no such attempt, or
            rank of it; or its log is on another machine.
        CorruptStateError: the end of the attempt is not readable.
        StoreError: the store cannot be read.

    """
    attempts = _attempts_at(loaded, selector)
    numbers = attempts.numbers
    if number is not None and number not in numbers:
        known = ", ".join(map(str, numbers))
        raise UsageError(
            f"`{attempts.target}` has no attempt {number}", facts=[("attempts", known)]
        )
    number = number if number is not None else numbers[-1]
    seen = _look_again(loaded, attempts, number)
    on_attempt(seen)
    run = seen.ended.run if seen.ended is not None else ""
    path = local_log(attempts, number, run, loaded.host)
    if rank:
        path = log_of_rank(loaded.store, attempts, number, rank)

    def find() -> str:  # the folder of an attempt that has just begun may not be there yet
        if rank:
            return path or ""
        return local_log(attempts, number, run, loaded.host) or ""

    if path is not None and seen.lease is not None and follow:
        is_over = _end_of(loaded, attempts, seen.lease, path)
        copy_log(find, is_over, write, lambda: time.sleep(_LOOK_EVERY))
        now = read_attempts(loaded.store, attempts.output, attempts.target)
        on_attempt(_look_again(loaded, now, number))
    elif path is not None:
        copy_log(find, lambda: True, write, lambda: None)
    elif number in attempts.logs or rank:
        blob = loaded.store.get(layout.rank_log_path(attempts.output, number, rank))
        write(blob.data if blob is not None else b"")
    elif seen.lease is not None and not seen.is_gone:
        raise runs_elsewhere(attempts, seen.lease)
    return seen


def log_of_rank(store: Store, attempts: Attempts, number: int, rank: int) -> str | None:
    """Return the local path of the log of a rank; None: it is in the store.

    Raises:
        UsageError: the attempt has no such rank, or none that has printed anything.

    """
    path = layout.rank_log_path(attempts.output, number, rank)
    logs = logs_of_ranks(store, attempts, number)
    if path.rpartition("/")[2] not in logs:
        raise UsageError(
            f"attempt {number} at `{attempts.target}` has no log of a rank {rank}",
            facts=[("ranks with logs", ", ".join(logs) or "none: it ran on one host")],
            hint="a rank on another machine copies its log into the store when it ends"
            if is_url(attempts.output)
            else "the log of rank 0 is that of the attempt: leave `--rank` out",
        )
    return None if is_url(attempts.output) else path


def logs_of_ranks(store: Store, attempts: Attempts, number: int) -> list[str]:
    """Return the names of the logs of an attempt's ranks but the first: `rank-3.log`, sorted.

    Raises:
        StoreError: the store cannot be read.

    """
    folder = layout.ranks_folder(attempts.output, number)
    return [name for name in store.list(folder) if name.endswith(".log")]


def _attempts_at(loaded: Loaded, selector: str) -> Attempts:
    chosen = choose(loaded, [selector])
    wanted = loaded.targets.all[only_one(selector, chosen, "has its logs shown")]
    attempts = read_attempts(loaded.store, wanted.output_path, wanted.id)
    if not attempts.numbers:
        raise _no_attempt(attempts, lambda: read_jobs(loaded, chosen))
    return attempts


def _look_again(loaded: Loaded, attempts: Attempts, number: int) -> AttemptSeen:
    (seen,) = seen_attempts(loaded.store, loaded.host, attempts, [number])
    return seen


def _seen(
    host: Host, attempts: Attempts, number: int, ends: Mapping[int, EndedAttempt]
) -> AttemptSeen:
    lease = attempts.lease_of(number)
    return AttemptSeen(
        number,
        len(attempts.numbers) - 1,
        ends.get(number),
        lease,
        lease is not None and host.is_gone(lease),
        attempts.logs.get(number),
    )


def _no_attempt(attempts: Attempts, ask: Callable[[], SeenJobs]) -> UsageError:
    if attempts.lease is not None:
        facts = [("holder", printable(attempts.lease.describe()))]
        what = f"`{attempts.target}` is held by a process that keeps no log"
        return UsageError(what, facts=facts)
    if attempts.status is None:
        seen = ask()
        for job in seen.jobs.values():
            return UsageError(
                f"`{attempts.target}` has a job that has not begun it: there is no log yet",
                facts=[("job", printable(job.describe()))],
            )
        return UsageError(
            f"`{attempts.target}` was never built: there is no log",
            facts=[("queue", f"{name}: {printable(why)}") for name, why in seen.silent.items()],
            hint="marin-build status says how targets stand",
        )
    return UsageError(
        f"`{attempts.target}` has no log",
        facts=[("status", attempts.status)],
        consequence="Marin, or a program that runs steps itself, built it and kept no log",
    )


def _end_of(loaded: Loaded, attempts: Attempts, lease: Lease, path: str) -> Callable[[], bool]:
    """Return a function that tells whether an attempt has ended; it seldom reads a bucket."""
    looks = 0

    def is_over() -> bool:
        nonlocal looks
        looks += 1
        if not loaded.store.is_local and looks % _REMOTE_LOOKS != 1:
            return False
        return has_ended(loaded.store, attempts.output, lease, loaded.host, path)

    return is_over


def runs_elsewhere(attempts: Attempts, lease: Lease) -> UsageError:
    """Return the error for the log of an attempt into a bucket that runs on another machine."""
    earlier = [number for number in attempts.numbers if number != lease.attempt]
    return UsageError(
        f"the log of attempt {lease.attempt} at `{attempts.target}` is on another machine",
        facts=[("runs on", printable(lease.describe()))],
        consequence="that machine copies it into the store when the attempt ends",
        hint=f"an earlier one: --attempt {earlier[-1]}" if earlier else "look again then",
    )
