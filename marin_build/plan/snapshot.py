"""The snapshot: what the store held when the plan was made, as a value."""

from __future__ import annotations

from dataclasses import field
from typing import TYPE_CHECKING, Any

from marin_build.quick_dataclass import dataclass

if TYPE_CHECKING:
    from collections.abc import Mapping

    from marin_build.plan.block_reasons import Unreadable
    from marin_build.plan.identity_drift import IdentityDrift
    from marin_build.protocol.foreign_data import ForeignData
    from marin_build.protocol.lease import Lease
    from marin_build.protocol.living_work import Process
    from marin_build.protocol.record_reader import Built
    from marin_build.protocol.status import Status
    from marin_build.protocol.taints import Taint
    from marin_build.protocol.tombstone import Tombstone
    from marin_build.store.base import File


@dataclass(frozen=True, slots=True)
class LastAttempt:
    """The newest attempt at a target that is not built."""

    attempt: int
    exit_code: int | None
    message: str | None
    worker: str
    end: str | None
    is_finished: bool = False
    """Whether only what it returned could not be saved: its output is kept."""


@dataclass(frozen=True, slots=True)
class Earlier:
    """An earlier build of a target's name, nearly always with another identity.

    Args:
        built: the facts in its record.
        payload: the payload that was hashed, as JSON values.

    """

    built: Built
    payload: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Observed:
    """What was read of one target. `gone`: the holder of its lease died on this host.

    `status_version` and `lease_version` are the store's versions of these two files, empty for a
    missing file. A run that builds the target makes its writes conditional on them, so that it need
    not read the files again.
    """

    status: Status | None = None
    lease: Lease | None = None
    gone: bool = False
    work: tuple[Process, ...] = ()
    """What its holder, which is gone, has left working on it."""
    built: Built | None = None
    last: LastAttempt | None = None
    status_version: str = ""
    lease_version: str = ""
    doubtful: bool = False
    """It was committed, but the machine went down before it was surely on disk."""
    lost: tuple[str, ...] = ()
    """What is gone of the data it left, in words: looked for where something is built from it."""
    altered: tuple[str, ...] = ()
    """What lies there that its build did not leave, in words: looked for in the same cases."""
    damage: Unreadable | None = None
    """A damaged file of it; its state is unknown then."""
    in_the_way: str | None = None
    """What lies in the place of its output folder, in words: looked for where it is to be built."""
    foreign: ForeignData | None = None
    """Data at its output path that no build of ours left, and that must not be cleared."""
    overwrites: ForeignData | None = None
    """The same, where a person agreed to have it deleted."""

    tombstone: Tombstone | None = None
    """It is built, and `gc` is about to delete it: who uses it takes the tombstone away first."""

    @property
    def is_built(self) -> bool:
        """Whether the target is committed: published, or sealed and about to be."""
        if self.doubtful or self.lost or self.in_the_way is not None:
            return False
        return self.status == "SUCCESS" or (self.lease is not None and self.lease.is_sealed)

    @property
    def is_open(self) -> bool:
        """Whether it is to be built, so that its dependencies must be read, too."""
        return not self.is_built and self.damage is None


NOTHING_SEEN = Observed()


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What was read of the store, by target index. A target that is not in `seen` was not read.

    `earlier`: builds of the same name, the latest first, for some targets only. `tainted`: the
    marks of tainted targets. `drifted`: targets whose output has another identity than the declared
    one, or was made from such an output. `tainted` and `drifted` can contain targets not in `seen`.
    `manifests`: the files that the builds of some targets left, because something is built from
    them; None for a target whose files are not known.
    """

    seen: Mapping[int, Observed] = field(default_factory=dict)
    earlier: Mapping[int, tuple[Earlier, ...]] = field(default_factory=dict)
    tainted: Mapping[int, Taint] = field(default_factory=dict)
    drifted: Mapping[int, IdentityDrift] = field(default_factory=dict)
    manifests: Mapping[int, tuple[File, ...] | None] = field(default_factory=dict)

    def of(self, index: int) -> Observed:
        """Return what was read of a target."""
        return self.seen.get(index, NOTHING_SEEN)
