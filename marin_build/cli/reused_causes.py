"""What changed in a dependency that is built already: its own line has no reason to say so."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from marin_build.leaves import describe_difference, differences, without_echoes
from marin_build.plan import Kind
from marin_build.protocol import layout
from marin_build.protocol.recorded import record_of_ours
from marin_build.reasons import IdentityChanged

if TYPE_CHECKING:
    from collections.abc import Mapping

    from marin_build.cli.session import Loaded
    from marin_build.plan import Plan

_MOST = 100
"""How many dependencies are asked about; a sweep of more says the same a hundred times."""


def reused_causes(loaded: Loaded, plan: Plan) -> dict[str, str]:
    """Return what changed in reused dependencies since what needs them was built, by target id.

    The records of what these dependencies were then are read in one batch, and only if something
    is built again for them.

    Raises:
        StoreError: the store cannot be read.

    """
    before = _were(plan)
    if not before:
        return {}
    targets = plan.targets
    paths = {
        id_: f"{targets.all[targets.by_id[id_]].output_path[: -len(old)]}{old}/{layout.RECORD}"
        for id_, old in before.items()
    }
    causes: dict[str, str] = {}
    for id_, blob in zip(paths, loaded.store.get_many(list(paths.values())), strict=True):
        payload = record_of_ours(blob.data).get("payload") if blob is not None else None
        if isinstance(payload, str):
            now = json.loads(targets.all[targets.by_id[id_]].step.payload)
            found = without_echoes(differences(json.loads(payload), now))
            found.sort(key=lambda leaf: leaf.path.startswith("deps."))
            if found:
                causes[id_] = describe_difference(found[0])
    return causes


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
