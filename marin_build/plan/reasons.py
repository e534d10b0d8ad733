"""Why a target has its decision: one small value for each reason."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal


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
    """The newest attempt was cut short: the status is RUNNING, but no run holds the target."""

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


@dataclass(frozen=True, slots=True)
class FailureKept:
    """It failed before, and `--no-rerun-failed` was given."""

    attempt: int


@dataclass(frozen=True, slots=True)
class UpstreamBlocked:
    """Something it needs is blocked."""

    upstream: str


@dataclass(frozen=True, slots=True)
class NothingBuildsIt:
    """The step has no function, and its output does not exist."""


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A file of it is damaged or written by a newer marin-build, so its state is unknown.

    Args:
        what: which file.
        path: the path or URL of that file.

    """

    what: Literal["record", "status", "lease", "taint"]
    path: str

    @property
    def ends_with_a_build(self) -> bool:
        """Whether a forced build helps: it needs nothing from the damaged file."""
        return self.what in {"record", "taint"}


@dataclass(frozen=True, slots=True)
class ForeignData:
    """Data lies there that no build of ours left: to build it would delete that.

    Args:
        name: the step's name.
        files: how many files; none: only empty folders.
        size: their bytes.
        paths: some of them, inside the output.
        listing: sha-256 of all paths and sizes.

    """

    name: str
    files: int
    size: int
    paths: tuple[str, ...]
    listing: str


@dataclass(frozen=True, slots=True)
class NotAFolder:
    """A link, a file or a pipe lies in the place of its output folder.

    Args:
        found: what lies there, in words: "a symbolic link to `corpus`", "a file".
        path: the output path.

    """

    found: str
    path: str


@dataclass(frozen=True, slots=True)
class OutputAltered:
    """Something is to be built from it, and it holds what its build did not leave there.

    Args:
        changes: what differs, in words, a file each.

    """

    changes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ResultNotSaved:
    """It did all its work, but what it returned could not be saved: its output is kept."""

    attempt: int


@dataclass(frozen=True, slots=True)
class DeviceMissing:
    """It needs more accelerators than this machine has.

    Args:
        device: `gpu` or `tpu`.
        needed, found: numbers of GPUs or of TPU chips.
        engines: names of the engines that run steps on other machines.

    """

    device: str
    needed: int
    found: int
    engines: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class SeveralHosts:
    """It needs several machines at once; the `engines` named run steps on other machines."""

    hosts: int
    engines: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class OverBudget:
    """It needs more of a named budget than there is."""

    budget: str
    needed: int
    found: int


@dataclass(frozen=True, slots=True)
class BlockedInPlan:
    """The saved plan that is replayed had it blocked."""


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
)
ReuseReason = BuiltBefore | SealedBefore | Adopted | Accepted | AssumedBuilt
BlockReason = (
    FailureKept
    | ResultNotSaved
    | UpstreamBlocked
    | NothingBuildsIt
    | Unreadable
    | ForeignData
    | NotAFolder
    | OutputAltered
    | DeviceMissing
    | SeveralHosts
    | OverBudget
    | BlockedInPlan
)
Obstacle = Unreadable | ForeignData | NotAFolder
"""What lies at an output path and must be dealt with before anything is built there."""
WaitReason = HeldBy | HeldByWork
Reason = RunReason | ReuseReason | WaitReason | BlockReason
