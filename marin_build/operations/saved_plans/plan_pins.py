"""What a saved plan fixes of the targets that it builds: their code, and what is built again."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from marin_build.pipeline.targets import Targets
    from marin_build.plan.document import PlanDocument


def rebuilt_anyway(document: PlanDocument, targets: Targets) -> frozenset[int]:
    """Return the targets that a plan builds even if they are built.

    They have a reason of the kinds in REBUILT_ANYWAY, or follow such a target in a cascade.
    """
    from marin_build.plan.document import REBUILT_ANYWAY

    found: set[str] = set()
    for decision in document.decisions:  # topological: dependencies first
        kinds = {reason["kind"] for reason in decision.reasons}
        if kinds.intersection(REBUILT_ANYWAY) or (
            "cascade" in kinds and found.intersection(decision.deps)
        ):
            found.add(decision.target)
    return frozenset(targets.by_id[target] for target in found if target in targets.by_id)


def agreed_overwrites(document: PlanDocument, targets: Targets) -> dict[int, str | None]:
    """Return the targets whose foreign data a plan deletes, each with the listing of that data."""
    return {
        targets.by_id[decision.target]: str(reason["listing"])
        for decision in document.decisions
        for reason in decision.reasons
        if reason["kind"] == "overwrites" and decision.target in targets.by_id
    }


def pinned_code(document: PlanDocument) -> dict[str, str]:
    """Return target id -> code digest, for the targets that a plan builds."""
    return {d.target: d.code_digest for d in document.decisions if d.code_digest is not None}
