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
        old, new: JSON values; None where there is none.
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
    """It was built with another identity; `changes` since the nearest build, that of `since`."""

    changes: tuple[Change, ...]
    since: str
    run: str
    by: str
    at: str

    @property
    def is_cascade(self) -> bool:
        """Whether nothing of its own changed: it only needs what is another one now."""
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
    """An attempt was cut short: RUNNING, but no run holds it."""

    by: str


@dataclass(frozen=True, slots=True)
class Doubtful:
    """Built, but the machine went down before the output was surely on disk."""

    run: str


@dataclass(frozen=True, slots=True)
class OutputVanished:
    """It was built, as its record says, but its status is gone."""

    run: str
    by: str
    at: str


@dataclass(frozen=True, slots=True)
class Tainted:
    """A user marked what is built as bad."""

    reason: str
    by: str
    at: str


@dataclass(frozen=True, slots=True)
class Forced:
    """Asked for with `--force`."""


@dataclass(frozen=True, slots=True)
class DevVersion:
    """Versions `dev` and `*-dev` are rebuilt each time."""


@dataclass(frozen=True, slots=True)
class AssumedChanged:
    """What if its identity changed: `--assume-changed`."""


@dataclass(frozen=True, slots=True)
class Cascade:
    """An upstream is rebuilt although it is built."""

    upstream: str


@dataclass(frozen=True, slots=True)
class DependencyFailed:
    """Another executor marked it: one of its dependencies failed there."""


@dataclass(frozen=True, slots=True)
class BuiltBefore:
    """SUCCESS; who and when are empty for a target without a record of ours."""

    run: str
    by: str
    at: str


@dataclass(frozen=True, slots=True)
class Adopted:
    """Data that was there before was registered as its output.

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
    """SUCCESS; its code has changed, and a user said that this makes no difference."""

    run: str
    by: str
    at: str
    reason: str
    accepted_by: str
    accepted_at: str


@dataclass(frozen=True, slots=True)
class AssumedBuilt:
    """What if it were built: `--assume-built`."""


@dataclass(frozen=True, slots=True)
class SealedBefore:
    """Committed; the next run that meets it publishes it."""

    by: str


@dataclass(frozen=True, slots=True)
class HeldBy:
    """Another run builds it now.

    Args:
        by: who, in which run and attempt.
        renewed: when the lease was last written, ISO 8601 in UTC, by its holder's clock.
        time_to_live: seconds for which it then holds.

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
    """The step has no function, and its output is not there."""


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A file of it is damaged, or of a newer marin-build: it is not known how it stands.

    Args:
        what: which file.
        path: where that lies.

    """

    what: Literal["record", "status", "lease", "taint"]
    path: str

    @property
    def ends_with_a_build(self) -> bool:
        """Whether to build it again is a way out: then nothing hangs on what the file says."""
        return self.what in {"record", "taint"}


@dataclass(frozen=True, slots=True)
class DeviceMissing:
    """It needs more accelerators than this machine has.

    Args:
        device: `gpu` or `tpu`.
        needed, found: devices, or chips.
        engines: those that run steps on other machines, by name.

    """

    device: str
    needed: int
    found: int
    engines: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class SeveralHosts:
    """It runs on several machines at once, and this is one; `engines` run steps on others."""

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
    """It was blocked when the plan that is replayed was made."""


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
    | DependencyFailed
)
ReuseReason = BuiltBefore | SealedBefore | Adopted | Accepted | AssumedBuilt
BlockReason = (
    FailureKept
    | UpstreamBlocked
    | NothingBuildsIt
    | Unreadable
    | DeviceMissing
    | SeveralHosts
    | OverBudget
    | BlockedInPlan
)
WaitReason = HeldBy | HeldByWork
Reason = RunReason | ReuseReason | WaitReason | BlockReason
