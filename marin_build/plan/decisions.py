"""A plan: what was decided of each target, and what follows from that. Pure."""

from __future__ import annotations

import enum
from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING

from marin_build.plan import reasons as why
from marin_build.plan.assumptions import NOTHING_ASSUMED
from marin_build.plan.graph_shape import upstream
from marin_build.quick_dataclass import dataclass

if TYPE_CHECKING:
    from marin_build.pipeline.targets import Targets
    from marin_build.plan.assumptions import Assumptions
    from marin_build.plan.reasons import Reason
    from marin_build.plan.snapshot import Snapshot


class Kind(enum.StrEnum):
    """What a plan does with a target."""

    RUN = "run"
    REUSE = "reuse"
    WAIT = "wait"
    BLOCKED = "blocked"


_TO_BUILD = (Kind.RUN, Kind.WAIT)
_INSISTING = (
    why.Forced, why.Tainted, why.DevVersion, why.Cascade, why.Doubtful, why.OutputVanished
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Decision:
    """The decision about one target.

    Args:
        index: its place in the plan's targets.
        kind: what the plan does with it.
        reason: why.
        changed: how the identity changed since the nearest earlier build, where that is not the
            reason itself: what failed or is being built was begun because of it.
        overwrites: the data that its build deletes although no build of ours left it: a person
            agreed to that.

    """

    index: int
    kind: Kind
    reason: Reason
    changed: why.IdentityChanged | None = None
    overwrites: why.Overwrites | None = None

    @property
    def root(self) -> why.IdentityChanged | None:
        """How the identity changed since an earlier build, whatever the reason; None if unknown."""
        return self.reason if isinstance(self.reason, why.IdentityChanged) else self.changed

    @property
    def reasons(self) -> tuple[Reason, ...]:
        """The reason, then the change of identity if that is another one, then what it deletes."""
        more = (each for each in (self.changed, self.overwrites) if each is not None)
        return (self.reason, *more)

    def with_root(self, root: why.IdentityChanged) -> Decision:
        """Return the decision with other words for the change of identity."""
        if isinstance(self.reason, why.IdentityChanged):
            return replace(self, reason=root)
        return replace(self, changed=root)


@dataclass(frozen=True)
class Plan:
    """An immutable list of decisions against one snapshot, in topological order.

    Targets without a decision are PRUNED: only reused targets need them, so they were not read.
    A plan with assumptions answers a question: it can neither be saved nor applied.
    """

    targets: Targets
    requested: tuple[int, ...]
    decisions: tuple[Decision, ...]
    forced: frozenset[int]
    snapshot: Snapshot
    assumed: Assumptions = NOTHING_ASSUMED
    waiting: tuple[int, ...] = ()
    """Indices in `targets.later` of the expansions that are asked for and not known."""

    def of_kind(self, *kinds: Kind) -> list[Decision]:
        """Return the decisions of these kinds."""
        return [decision for decision in self.decisions if decision.kind in kinds]

    @property
    def pruned(self) -> int:
        """How many targets the request reaches that were not read."""
        return len(self._pruned)

    @property
    def pruned_indices(self) -> list[int]:
        """The indices of the targets that the request reaches and that were not read."""
        return sorted(self._pruned)

    @cached_property
    def _pruned(self) -> set[int]:
        if len(self.decisions) == len(self.targets):
            return set()
        decided = {decision.index for decision in self.decisions}
        return upstream(self.targets, self.requested) - decided

    @property
    def names_waiting(self) -> tuple[str, ...]:
        """The names of the expansions that are asked for and not known."""
        return tuple(dict.fromkeys(self.targets.later[index].name for index in self.waiting))

    @property
    def sealed(self) -> list[int]:
        """The targets that are committed and wait to be published."""
        return [d.index for d in self.decisions if isinstance(d.reason, why.SealedBefore)]

    @property
    def rebuilt_anyway(self) -> frozenset[int]:
        """The targets that are built although they may be built already."""
        return frozenset(
            [
                d.index
                for d in self.decisions
                if isinstance(d.reason, _INSISTING)
                and (d.reason.lost if isinstance(d.reason, why.OutputVanished) else True)
            ]
        )

    @property
    def overwrites(self) -> dict[int, str]:
        """The targets whose foreign data is deleted, each with the listing of that data."""
        found = ((d.index, d.overwrites) for d in self.of_kind(Kind.RUN))
        return {index: data.listing for index, data in found if data is not None}

    @cached_property
    def to_build(self) -> tuple[int, ...]:
        """The targets that this run or another one builds: RUN and WAIT."""
        return tuple([d.index for d in self.decisions if d.kind in _TO_BUILD])

    def counts(self) -> dict[str, int]:
        """Return the number of decisions of each kind."""
        kinds = [decision.kind for decision in self.decisions]
        return {kind.value: kinds.count(kind) for kind in Kind}

    def summary(self) -> dict[str, int]:
        """Return the number of targets of each kind, pruned ones included."""
        return {**self.counts(), "pruned": self.pruned}
