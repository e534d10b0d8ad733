"""Keeps `gc` from deleting what a run uses: takes the tombstones of reused targets away."""

from __future__ import annotations

from typing import TYPE_CHECKING

from marin_build.plan.decisions import Kind
from marin_build.plan.graph_shape import upstream

if TYPE_CHECKING:
    from marin_build.plan.decisions import Plan
    from marin_build.store.base import Store


def keep_used(store: Store, plan: Plan) -> bool:
    """Take the tombstones of the targets that a plan reuses away; without any, nothing is asked.

    What such a target was made from is kept, too: a plan does not read it, but is to find it when
    it is needed again.

    Args:
        store: where the outputs live.
        plan: about to be built.

    Returns:
        False if one of them has changed since it was read: `gc` may have begun to delete its
        output, so another plan is to be made.

    Raises:
        StoreError: the store cannot be written.

    """
    found = [
        (decision.index, seen.status_version, seen.tombstone)
        for decision in plan.decisions
        if decision.kind is Kind.REUSE
        and (seen := plan.snapshot.of(decision.index)).tombstone is not None
    ]
    if not found:
        return True
    from marin_build.protocol.tombstone_writes import take_all_away, take_away

    for index, version, tombstone in found:
        output = plan.targets.all[index].output_path
        if take_away(store, output, version, tombstone) is None:
            return False
    used = [index for index, *_ in found]
    needed = upstream(plan.targets, used) - set(used)
    take_all_away(store, [plan.targets.all[index].output_path for index in sorted(needed)])
    return True
