"""The short name of a plan. Imports nothing heavy."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING

from marin_build.workspace.workspace import relative

if TYPE_CHECKING:
    from collections.abc import Mapping

    from marin_build.plan.decisions import Plan


def text_digest(text: str) -> str:
    """Return the sha-256 of a text in UTF-8."""
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()


def plan_id(plan: Plan, pipeline: str, parameters: Mapping[str, str], engine: str) -> str:
    """Return the short name of a plan: equal for equal decisions on equal targets."""
    workspace = plan.targets.workspace
    facts = [
        pipeline,
        sorted(parameters.items()),
        engine,
        relative(workspace.prefix, workspace),
        [(plan.targets.all[d.index].id, d.kind) for d in plan.decisions],
    ]
    rebuilt = sorted(plan.targets.all[index].id for index in plan.rebuilt_anyway)
    if rebuilt or plan.assumed:  # forced rebuilds and assumptions are part of the name
        changed = sorted(plan.targets.all[index].id for index in plan.assumed.changed)
        facts.append([rebuilt, sorted(plan.targets.all[i].id for i in plan.forced), changed])
    if overwrites := plan.overwrites:  # so is the data that is deleted
        facts.append(sorted((plan.targets.all[i].id, listing) for i, listing in overwrites.items()))
    return f"p-{text_digest(json.dumps(facts))[:8]}"
