"""A plan as JSON for programs, `plan --json`. Pure."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from marin_build.plan.reason_facts import stable_facts
from marin_build.plan.reason_text import describe, reason_kind
from marin_build.redaction import Redactor
from marin_build.text.secret_shapes import masked_item, masked_text, without_secret

if TYPE_CHECKING:
    from collections.abc import Sequence

    from marin_build.plan.blast_radius import BlastRadius
    from marin_build.plan.decisions import Plan
    from marin_build.plan.document import PlanDocument
    from marin_build.plan.estimate import Estimate, PlanEstimate
    from marin_build.plan.reasons import Reason
    from marin_build.plan.regions import CrossRegionRead


def plan_json(
    document: PlanDocument,
    plan: Plan,
    estimate: PlanEstimate,
    radius: BlastRadius | None,
    reads: Sequence[CrossRegionRead],
) -> str:
    """Return a plan as one JSON document: that of plan.json, with facts that change over time.

    Args:
        document: the document of the plan.
        plan: the plan.
        estimate: its time and cost.
        radius: how far its changes reach; None: the document has no `blast_radius`.
        reads: the reads of steps to build from other regions.

    """
    found: dict[str, Any] = json.loads(document.shown_text())
    targets, decisions = plan.targets, {d.index: d for d in plan.decisions}
    for decision in found["decisions"]:
        index = targets.by_id[decision["target"]]
        if index in decisions:
            decision["reasons"] = [
                {**reason_json(reason), **facts}  # the facts: a place is relative to the project
                for reason, facts in zip(decisions[index].reasons, decision["reasons"], strict=True)
            ]
        if index in estimate.steps:
            decision["estimate"] = _one(estimate.steps[index])
    found["estimate"] = {
        "jobs": estimate.jobs,
        "critical_path": [targets.all[index].id for index in estimate.critical_path],
        "critical_seconds": estimate.critical_seconds,
        "queued_seconds": estimate.queued_seconds,
        "total_seconds": estimate.total_seconds,
        "cost": estimate.cost,
        "no_history": estimate.no_history,
        "no_price": estimate.no_price,
    }
    found["cross_region_reads"] = [_read(read) for read in reads]
    if radius is not None:
        found["blast_radius"] = asdict(radius)
    secrets = {
        value.encode("utf-8", "surrogatepass"): b"..."
        for name, value in document.parameters.items()
        if without_secret(name, value) != value
    }
    return json.dumps(_cleaned(found, Redactor.for_values(secrets)), indent=1) + "\n"


def _cleaned(value: Any, redactor: Redactor, name: str = "") -> Any:
    """Return a JSON value without secrets, and without what is called one.

    A short secret may also be a key of the document, so keys lose only known forms of tokens.
    """
    match value:
        case str():
            return masked_item(name, redactor.clean_text(value))
        case dict():
            return {masked_text(key): _cleaned(item, redactor, key) for key, item in value.items()}
        case list():
            return [_cleaned(item, redactor, name) for item in value]
    return value


_UNSAID = {"size", "engines"}
"""Fields of reasons that JSON has under another name, or that depend on installed packages."""


def reason_json(reason: Reason) -> dict[str, Any]:
    """Return all facts of a reason; unlike plan.json with times and hosts."""
    facts = {key: value for key, value in asdict(reason).items() if key not in _UNSAID}
    facts |= stable_facts(reason)
    return {"kind": reason_kind(reason), **facts, "text": describe(reason)}


def _one(step: Estimate) -> dict[str, float | int | None]:
    return {"seconds": step.seconds, "builds": step.count, "cost": step.cost, "queued": step.queued}


def _read(read: CrossRegionRead) -> dict[str, Any]:
    return {
        "target": read.target,
        "read": read.read,
        "regions": list(read.regions),
        "region": read.region,
        "bytes": read.size,
    }
