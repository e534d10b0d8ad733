"""Why a target has its decision: one small value for each reason.

Reasons to block a target are in block_reasons.py.
"""

from __future__ import annotations

from typing import Any

from marin_build.plan.block_reasons import BlockReason
from marin_build.quick_dataclass import dataclass


@dataclass(frozen=True, slots=True)
class NeverBuilt:
    """No status: no run has tried this identity."""


@dataclass(frozen=True, slots=True)
class Change:
    """One leaf of an identity that changed.

    Args:
        path: where it is: `attrs.seq_len`, `inputs.corpus`, `deps.tokenize/dclm`.
        old, new: JSON values; None on a side that has no such leaf.
        text: the change in words: `attrs.seq_len 4096 -> 8192`.
        because: for a dependency, what changed there in words, where that is known.

    """

    path: str
    old: Any
    new: Any
    text: str
    because: str = ""


@dataclass(frozen=True, slots=True)
class IdentityChanged:
    """The step was built, but with another identity.

    Args:
        changes: what changed since the nearest earlier build.
        since: the target id of that build.
        run, by, at: which run built it, who, and when (ISO 8601, UTC).

    """

    changes: tuple[Change, ...]
    since: str
    run: str
    by: str
    at: str

    @property
    def is_cascade(self) -> bool:
        """Whether only dependencies changed, and nothing of the step itself."""
        return bool(self.changes) and all(
            change.path.startswith("deps.") and None not in (change.old, change.new)
            for change in self.changes
        )


@dataclass(frozen=True, slots=True)
class FailedBefore:
    """The newest attempt failed."""

    attempt: int
    exit_code: int | None
    message: str
    by: str
    at: str


@dataclass(frozen=True, slots=True)
class Interrupted:
    """The newest attempt was interrupted: the status is RUNNING, but no run holds the target."""

    by: str


@dataclass(frozen=True, slots=True)
class Doubtful:
    """Built, but the machine went down before the output was surely on disk."""

    run: str


@dataclass(frozen=True, slots=True)
class OutputVanished:
    """It was built, as its record says, but its status is gone, or data that it left.

    Args:
        run, by, at: who built it, and when; empty where that is not known.
        lost: which data is gone, in words, a file each; none: the status.

    """

    run: str
    by: str
    at: str
    lost: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class LetGo:
    """It was built, and its data was deleted after its consumers were built: `temp=True`."""


@dataclass(frozen=True, slots=True)
class Deleted:
    """It was built, and `gc` has begun to delete it."""


@dataclass(frozen=True, slots=True)
class Tainted:
    """A user marked the output as bad, with `taint`."""

    reason: str
    by: str
    at: str


@dataclass(frozen=True, slots=True)
class Forced:
    """A user gave `--force` for it."""


@dataclass(frozen=True, slots=True)
class DevVersion:
    """Versions `dev` and `*-dev` are rebuilt each time."""


@dataclass(frozen=True, slots=True)
class AssumedChanged:
    """The plan assumes that its identity changed: `--assume-changed`."""


@dataclass(frozen=True, slots=True)
class Cascade:
    """A dependency, `upstream`, is rebuilt although it was built."""

    upstream: str


@dataclass(frozen=True, slots=True)
class Overwrites:
    """Data lies there that no build of ours left, and a user gave `--overwrite` for it.

    Args:
        files: how many files; none: only empty folders.
        size: their bytes.
        paths: some of them, inside the output.
        listing: sha-256 of all paths and sizes: only this data may be deleted.

    """

    files: int
    size: int
    paths: tuple[str, ...]
    listing: str


@dataclass(frozen=True, slots=True)
class DependencyFailed:
    """Another executor wrote DEP_FAILED: one of its dependencies failed there."""


@dataclass(frozen=True, slots=True)
class BuiltBefore:
    """Its status is SUCCESS; `run`, `by` and `at` are empty without a record of ours."""

    run: str
    by: str
    at: str


@dataclass(frozen=True, slots=True)
class Adopted:
    """A user registered existing data as its output.

    Args:
        location: where the data lies: the output path, or any other place.
        files, size: how many files were found there, and their bytes.
        by, at: who registered it, and when.

    """

    location: str
    files: int
    size: int
    by: str
    at: str


@dataclass(frozen=True, slots=True)
class Accepted:
    """Its status is SUCCESS; its code changed, and a user accepted that as harmless."""

    run: str
    by: str
    at: str
    reason: str
    accepted_by: str
    accepted_at: str


@dataclass(frozen=True, slots=True)
class AssumedBuilt:
    """The plan assumes that it is built: `--assume-built`."""


@dataclass(frozen=True, slots=True)
class SealedBefore:
    """It is committed, but not published yet; the next run publishes it."""

    by: str


@dataclass(frozen=True, slots=True)
class HeldBy:
    """Another run builds it now.

    Args:
        by: the worker, its run and its attempt.
        renewed: when the lease was last written, ISO 8601 in UTC, by its holder's clock.
        time_to_live: seconds for which the lease holds from then on.

    """

    by: str
    renewed: str
    time_to_live: float


@dataclass(frozen=True, slots=True)
class HeldByWork:
    """Its holder is dead, but something that it started on this machine still works on it.

    Args:
        by: who held it, in which run and attempt.
        pid: the process, the first of them; 0 if it cannot be seen from here.
        command: its command line, cut.
        processes: how many there are.

    """

    by: str
    pid: int
    command: str
    processes: int


RunReason = (
    NeverBuilt
    | IdentityChanged
    | FailedBefore
    | Interrupted
    | Doubtful
    | OutputVanished
    | Tainted
    | Forced
    | DevVersion
    | AssumedChanged
    | Cascade
    | Overwrites
    | DependencyFailed
    | LetGo
    | Deleted
)
ReuseReason = BuiltBefore | SealedBefore | Adopted | Accepted | AssumedBuilt
WaitReason = HeldBy | HeldByWork
Reason = RunReason | ReuseReason | WaitReason | BlockReason
