"""The reasons that follow from what was read of one target alone. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from marin_build.plan import block_reasons as blocks
from marin_build.plan import reasons as why

if TYPE_CHECKING:
    from marin_build.plan.reasons import Reason
    from marin_build.plan.snapshot import Observed
    from marin_build.protocol.record_reader import Built


NEVER_BUILT = why.NeverBuilt()
"""The reason of each target that no run has tried: one value, as there may be 100,000."""
BEGUN = (
    why.FailedBefore
    | why.Interrupted
    | why.DependencyFailed
    | why.WaitReason
    | blocks.FailureKept
    | blocks.ResultNotSaved
)
"""Reasons of targets that a run has begun, and none has built."""


def reuse_reason(built: Built | None) -> Reason:
    """Return why a target is reused, by its record; `built` is None without a record of ours."""
    if built is None:
        return why.BuiltBefore("", "", "")
    if built.adopted_from is not None:
        return why.Adopted(built.adopted_from, built.files, built.size, built.worker, built.end)
    return why.BuiltBefore(built.run, built.worker, built.end)


def run_reason(seen: Observed) -> Reason:
    """Return why a target is not built yet."""
    match seen.status:
        case None:
            return NEVER_BUILT
        case "FAILED" if seen.last is not None:
            last = seen.last
            return why.FailedBefore(
                last.attempt, last.exit_code, last.message or "", last.worker, last.end or ""
            )
        case "FAILED":
            return why.FailedBefore(0, None, "", "", "")
        case "DEP_FAILED":
            return why.DependencyFailed()
        case "SUCCESS" if seen.lost:
            it = seen.built
            run, by, at = (it.run, it.worker, it.end) if it is not None else ("", "", "")
            return why.OutputVanished(run, by, at, seen.lost)
        case "SUCCESS":
            return why.Doubtful(seen.built.run if seen.built else "")
        case "RUNNING":
            return why.Interrupted(seen.lease.worker if seen.lease else "")
        case "LET_GO":
            return why.LetGo()
        case "DELETING":
            return why.Deleted()
