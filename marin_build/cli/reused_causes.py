"""What changed in a dependency that is built already: its own line has no reason to say so."""

from __future__ import annotations

from typing import TYPE_CHECKING

from marin_build.dependency_causes import causes_below
from marin_build.plan import Kind
from marin_build.reasons import IdentityChanged

if TYPE_CHECKING:
    from collections.abc import Mapping

    from marin_build.cli.loading import Loaded
    from marin_build.plan import Plan

_MOST = 100
"""How many dependencies are asked about; a sweep of more says the same a hundred times."""


def reused_causes(loaded: Loaded, plan: Plan) -> dict[str, str]:
    """Return what changed in reused dependencies since what needs them was built, by target id.

    The records of what these dependencies were then are read, and only if something is built again
    for them.

    Raises:
        StoreError: the store cannot be read.

    """
    before = _were(plan)
    return causes_below(loaded.store, plan.targets, before) if before else {}


def _were(plan: Plan) -> Mapping[str, str]:
    """Return reused dependencies of other identity than before, and what they were: both ids."""
    reused = {plan.targets.all[d.index].id for d in plan.of_kind(Kind.REUSE)}
    found: dict[str, str] = {}
    for decision in plan.of_kind(Kind.RUN):
        if len(found) >= _MOST or not isinstance(decision.reason, IdentityChanged):
            continue
        for change in decision.reason.changes:
            new, old = change.new, change.old
            is_one = isinstance(new, str) and isinstance(old, str) and len(new) == len(old)
            if is_one and change.path.startswith("deps.") and new in reused and "@" not in new:
                found[new] = old
    return found
