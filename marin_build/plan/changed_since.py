"""What changed since a target was built, beside the reason of a decision. Pure."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from marin_build.plan import reasons as why
from marin_build.plan.nearest_build import nearest_change

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from marin_build.pipeline.targets import Targets
    from marin_build.plan.decisions import Decision
    from marin_build.plan.nearest_build import Neighbours
    from marin_build.plan.snapshot import Earlier


def with_change(
    targets: Targets,
    decision: Decision,
    earlier: Sequence[Earlier],
    decided: Mapping[int, Decision],
    neighbours: Neighbours,
) -> Decision:
    """Return a decision that knows what changed since the nearest earlier build.

    That is the reason of what was never tried. What was tried has a reason of its own.
    """

    def cause_in(dependency: str) -> str:
        index = targets.by_id.get(dependency)
        above = decided.get(index) if index is not None else None
        if above is None or above.root is None or not above.root.changes:
            return ""
        first = above.root.changes[0]
        return first.because or first.text

    target = targets.all[decision.index]
    builds = (build.built for build in earlier)
    vanished = next((built for built in builds if built.fingerprint == target.fingerprint), None)
    if vanished is not None:
        if not isinstance(decision.reason, why.NeverBuilt):
            return decision
        gone = why.OutputVanished(vanished.run, vanished.worker, vanished.end)
        return replace(decision, reason=gone)
    reason = nearest_change(target.step.payload, earlier, cause_in, target.step.version, neighbours)
    if reason is None:
        return decision
    if isinstance(decision.reason, why.NeverBuilt):
        return replace(decision, reason=reason)
    return replace(decision, changed=reason)
