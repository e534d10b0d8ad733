"""Targets + Snapshot -> Plan: which targets are built, which are not, and why. Pure."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from marin_build.plan import block_reasons as blocks
from marin_build.plan import reasons as why
from marin_build.plan.assumptions import NOTHING_ASSUMED, assumed_reason
from marin_build.plan.decisions import Decision, Kind, Plan
from marin_build.plan.graph_shape import upstream
from marin_build.plan.snapshot import NOTHING_SEEN
from marin_build.plan.status_reasons import BEGUN, NEVER_BUILT, reuse_reason, run_reason

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from collections.abc import Set as AbstractSet

    from marin_build.pipeline.targets import Targets
    from marin_build.plan.assumptions import Assumptions
    from marin_build.plan.progress import Progress
    from marin_build.plan.reasons import Reason
    from marin_build.plan.snapshot import Observed, Snapshot
    from marin_build.protocol.taints import Taint


_NONE = frozenset[int]()


def cascade_of(
    targets: Targets,
    requested: Iterable[int],
    forced: Iterable[int],
    assumed: Assumptions = NOTHING_ASSUMED,
) -> frozenset[int]:
    """Return the targets that are built even if their status is SUCCESS.

    These are the forced, tainted and dev ones, those with an assumed change of identity, and the
    targets that need any of these. All are within the request: requested, or needed by a requested
    target. A target that is assumed to be built is not among them, and ends the cascade.
    """
    seeds = {*forced, *targets.traits.of_dev_versions, *assumed.affected}
    if not seeds:
        return frozenset()
    found: set[int] = set()
    for index in sorted(upstream(targets, requested)):  # topological: dependencies first
        if index in assumed.built:
            continue
        if index in seeds or any(dep in found for dep in targets.deps[index]):
            found.add(index)
    return frozenset(found)


def make_plan(
    targets: Targets,
    snapshot: Snapshot,
    requested: Iterable[int],
    *,
    forced: Iterable[int] = (),
    rerun_failed: bool = True,
    assumed: Assumptions = NOTHING_ASSUMED,
    progress: Progress | None = None,
) -> Plan:
    """Return the plan.

    Args:
        targets: the pipeline's targets.
        snapshot: what the store held, for every target the plan looks at.
        requested: the targets asked for.
        forced: targets to build although they are built.
        rerun_failed: build targets again that failed before; False: they are BLOCKED.
        assumed: the assumptions, which win over the snapshot.
        progress: what the run has done already that goes on with this plan; None: it begins.

    """
    requested, forced = tuple(requested), frozenset(forced)
    seeds, built, failed = forced | snapshot.tainted.keys(), _NONE, _NONE
    if progress is not None:
        seeds |= progress.indices(targets, progress.rebuilt)
        built = progress.indices(targets, progress.built)
        failed = progress.indices(targets, progress.failed)
    cascade = cascade_of(targets, requested, seeds, assumed)
    decisions: dict[int, Decision] = {}
    any_assumed, any_blocked, neighbours = bool(assumed), False, None

    def root_of(index: int) -> why.IdentityChanged | None:
        return decisions[index].root if index in decisions else None

    for index in sorted(snapshot.seen):  # topological: its dependencies were decided before
        observed = snapshot.seen[index]
        reason = assumed_reason(targets, index, assumed) if any_assumed else None
        if reason is not None:
            kind = Kind.REUSE if isinstance(reason, why.AssumedBuilt) else Kind.RUN
            decision = Decision(index, kind, reason)
        else:
            decision = _decide(targets, index, observed, rerun_failed=rerun_failed)
            if index in failed:  # it is not tried again in one run
                attempt = observed.last.attempt if observed.last else 0
                decision = Decision(index, Kind.BLOCKED, blocks.FailureKept(attempt))
            elif (
                index in cascade
                and index not in built
                and targets.all[index].step.is_built_by_code
                and not _is_held(decision.reason)
            ):
                reason = _rebuild_reason(targets, index, forced, snapshot.tainted, cascade)
                decision = Decision(index, Kind.RUN, reason, overwrites=decision.overwrites)
        if index in snapshot.earlier and isinstance(decision.reason, BEGUN | why.NeverBuilt):
            if neighbours is None:
                # Only if a target has earlier builds to compare with.
                from marin_build.plan.changed_since import change_since
                from marin_build.plan.nearest_build import Neighbours

                neighbours = Neighbours()
            found = change_since(targets, index, snapshot.earlier[index], root_of, neighbours)
            decision = _with_change(decision, found)
        if any_blocked and decision.kind in (Kind.RUN, Kind.WAIT):
            blocked = [
                dep
                for dep in targets.deps[index]
                if dep in decisions and decisions[dep].kind is Kind.BLOCKED
            ]
            if blocked:
                reason = blocks.UpstreamBlocked(targets.all[blocked[0]].id)
                decision = replace(
                    decision,
                    kind=Kind.BLOCKED,
                    reason=reason,
                    changed=decision.root,
                    overwrites=None,
                )
        decisions[index] = decision
        any_blocked = any_blocked or decision.kind is Kind.BLOCKED
    return Plan(targets, requested, tuple(decisions.values()), forced, snapshot, assumed)


def _with_change(
    decision: Decision, found: why.IdentityChanged | why.OutputVanished | None
) -> Decision:
    """Return a decision that knows what changed; that is the reason of what was never tried."""
    if found is not None and isinstance(decision.reason, why.NeverBuilt):
        return replace(decision, reason=found)
    return replace(decision, changed=found) if isinstance(found, why.IdentityChanged) else decision


def _decide(targets: Targets, index: int, seen: Observed, *, rerun_failed: bool) -> Decision:
    """Return the decision for one target by itself, as if it had no neighbours."""
    step = targets.all[index].step
    if seen is NOTHING_SEEN and step.is_built_by_code:
        return Decision(index, Kind.RUN, NEVER_BUILT)
    lease = seen.lease
    if seen.damage is not None:
        return Decision(index, Kind.BLOCKED, seen.damage)
    if seen.in_the_way is not None:
        path = targets.all[index].output_path
        return Decision(index, Kind.BLOCKED, blocks.NotAFolder(seen.in_the_way, path))
    if (data := seen.foreign) is not None:
        found = blocks.ForeignData(step.name, data.files, data.size, data.paths, data.listing)
        return Decision(index, Kind.BLOCKED, found)
    if lease is not None and lease.is_sealed:
        return Decision(index, Kind.REUSE, why.SealedBefore(lease.worker))
    if lease is not None and seen.status != "SUCCESS":
        if seen.work:
            first = seen.work[0]
            left = why.HeldByWork(lease.describe(), first.pid, first.command, len(seen.work))
            return Decision(index, Kind.WAIT, left)
        if not seen.gone:
            held = why.HeldBy(lease.describe(), lease.written_at, lease.time_to_live)
            return Decision(index, Kind.WAIT, held)
    if seen.status == "SUCCESS" and not seen.doubtful and not seen.lost:
        if seen.altered:
            return Decision(index, Kind.BLOCKED, blocks.OutputAltered(seen.altered))
        return Decision(index, Kind.REUSE, reuse_reason(seen.built))
    if not step.is_built_by_code:
        return Decision(index, Kind.BLOCKED, blocks.NothingBuildsIt())
    if seen.last is not None and seen.last.is_finished and not step.resumable:
        return Decision(index, Kind.BLOCKED, blocks.ResultNotSaved(seen.last.attempt))
    if seen.status == "FAILED" and not rerun_failed:
        attempt = seen.last.attempt if seen.last else 0
        return Decision(index, Kind.BLOCKED, blocks.FailureKept(attempt))
    overwrites = None
    if (data := seen.overwrites) is not None:
        overwrites = why.Overwrites(data.files, data.size, data.paths, data.listing)
    return Decision(index, Kind.RUN, run_reason(seen), overwrites=overwrites)


def _is_held(reason: Reason) -> bool:
    """Return whether a run holds a target, or data may be lost there: then it cannot be forced."""
    may_be = isinstance(reason, blocks.Unreadable) and not reason.ends_with_a_build
    return may_be or isinstance(reason, why.WaitReason | blocks.ForeignData | blocks.NotAFolder)


def _rebuild_reason(
    targets: Targets,
    index: int,
    forced: AbstractSet[int],
    tainted: Mapping[int, Taint],
    cascade: AbstractSet[int],
) -> Reason:
    """Return why a target is built even if its status is SUCCESS."""
    if index in forced:
        return why.Forced()
    if targets.all[index].step.is_dev:
        return why.DevVersion()
    taint = tainted.get(index)
    upstream = next((dep for dep in targets.deps[index] if dep in cascade), None)
    if taint is not None and (taint.is_root or upstream is None):
        return why.Tainted(taint.reason, taint.by, taint.at)
    assert upstream is not None  # only forced, dev and tainted targets begin a cascade
    return why.Cascade(targets.all[upstream].id)
