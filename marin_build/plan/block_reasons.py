"""Why a target must not be built: one small value for each reason."""

from __future__ import annotations

from typing import Literal

from marin_build.quick_dataclass import dataclass


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
