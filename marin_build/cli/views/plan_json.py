"""A plan for programs."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

    from marin_build.blast_radius import BlastRadius
    from marin_build.emit.document import PlanDocument
    from marin_build.estimate import Estimate, PlanEstimate
    from marin_build.fingerprint import Targets
    from marin_build.regions import CrossRegionRead


def plan_json(
    document: PlanDocument,
    targets: Targets,
    estimate: PlanEstimate,
    radius: BlastRadius | None,
    reads: Sequence[CrossRegionRead],
) -> str:
    """Return a plan as one JSON document: that of plan.json, with what depends on history.

    Args:
        document: the plan's.
        targets: the pipeline's.
        estimate: how long it may take, and what it may cost.
        radius: how far the changes reach, if it was asked for.
        reads: what steps to build read from other regions.

    """
    found: dict[str, Any] = document.model_dump(mode="json", exclude={"files", "digest"})
    for decision in found["decisions"]:
        index = targets.by_id[decision["target"]]
        if index in estimate.steps:
            decision["estimate"] = _one(estimate.steps[index])
    found["estimate"] = {
        "jobs": estimate.jobs,
        "critical_path": [targets.all[index].id for index in estimate.critical_path],
        "critical_seconds": estimate.critical_seconds,
        "total_seconds": estimate.total_seconds,
        "cost": estimate.cost,
        "no_history": estimate.no_history,
        "no_price": estimate.no_price,
    }
    found["cross_region_reads"] = [_read(read) for read in reads]
    if radius is not None:
        found["blast_radius"] = asdict(radius)
    return json.dumps(found, indent=1) + "\n"


def _one(step: Estimate) -> dict[str, float | int | None]:
    return {"seconds": step.seconds, "builds": step.count, "cost": step.cost}


def _read(read: CrossRegionRead) -> dict[str, Any]:
    return {
        "target": read.target,
        "read": read.read,
        "regions": list(read.regions),
        "region": read.region,
        "bytes": read.size,
    }
