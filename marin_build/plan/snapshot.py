"""The value "what the store held when the plan was made"."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    from marin_build.plan.identity_drift import IdentityDrift
    from marin_build.plan.reasons import Unreadable
    from marin_build.protocol.lease import Lease
    from marin_build.protocol.living_work import Process
    from marin_build.protocol.record_reader import Built
    from marin_build.protocol.status import Status
    from marin_build.protocol.taints import Taint


@dataclass(frozen=True, slots=True)
class LastAttempt:
    """The newest attempt at a target that is not built."""

    attempt: int
    exit_code: int | None
    message: str | None
    worker: str
    end: str | None


@dataclass(frozen=True, slots=True)
class Earlier:
    """An earlier build of a target's name, nearly always with another identity.

    Args:
        built: what its record says.
        payload: what was hashed, as JSON values.

    """

    built: Built
    payload: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Observed:
    """What was seen of one target. `gone`: the lease's holder died on this host.

    The versions are those of the status and the lease, empty where there is none. The run that
    builds the target makes its writes conditional on them, instead of reading again.
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
    damage: Unreadable | None = None
    """A file of it that is damaged, so that it is not known how it stands."""

    @property
    def is_built(self) -> bool:
        """Whether the target is committed: published, or sealed and about to be."""
        if self.doubtful:
            return False
        return self.status == "SUCCESS" or (self.lease is not None and self.lease.is_sealed)

    @property
    def is_open(self) -> bool:
        """Whether it is to be built, so that what it needs is asked for, too."""
        return not self.is_built and self.damage is None


NOTHING_SEEN = Observed()


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What was seen, by target index. A target that is not in it was not looked at.

    `earlier`: builds of the same name, the latest first, where they were asked for. `tainted`: the
    marks that hold, on whatever target of the pipeline. `drifted`: what has another identity than
    is declared, or was made from that; targets that were not looked at can be among them.
    """

    seen: Mapping[int, Observed] = field(default_factory=dict)
    earlier: Mapping[int, tuple[Earlier, ...]] = field(default_factory=dict)
    tainted: Mapping[int, Taint] = field(default_factory=dict)
    drifted: Mapping[int, IdentityDrift] = field(default_factory=dict)

    def of(self, index: int) -> Observed:
        """Return what was seen of a target."""
        return self.seen.get(index, NOTHING_SEEN)
