"""Compares a saved plan with the store as it is now, to replay it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from marin_build.errors import StoppedError, UsageError
from marin_build.operations.building.keep_used import keep_used
from marin_build.operations.building.prepare_apply import refuse_other_engine
from marin_build.operations.loading.loading import chosen_engine
from marin_build.operations.planning.plan import planned_of
from marin_build.operations.planning.take_snapshot import observe_tainted
from marin_build.operations.saved_plans.load_saved import load_saved
from marin_build.operations.saved_plans.plan_pins import (
    agreed_overwrites,
    pinned_code,
    rebuilt_anyway,
)
from marin_build.plan.block_reasons import BlockedInPlan
from marin_build.plan.decide import make_plan
from marin_build.plan.decisions import Decision, Kind, Plan

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from collections.abc import Set as AbstractSet

    from marin_build.apply.events import Warned
    from marin_build.operations.loading.loading import Loaded
    from marin_build.operations.loading.options import PipelineOptions
    from marin_build.operations.planning.planned import Planned, PlanRequest
    from marin_build.plan.document import PlanDocument


_SHOWN = 10


def refuse_what_is_fixed(
    options: PipelineOptions, targets: Sequence[str], request: PlanRequest
) -> None:
    """Refuse options that a saved plan fixes: it is replayed exactly, or made again.

    Raises:
        UsageError: one of these options is given.

    """
    given = {
        "targets": targets,
        "-f": options.file,
        "--prefix": options.prefix,
        "--engine": options.engine,
        "--set": options.parameters,
        "--params": options.params,
        "--code-policy": options.code,
        "--force": request.forced,
        "--overwrite": request.overwrite,
        "--no-rerun-failed": not request.rerun_failed,
    }
    names = [name for name, value in given.items() if value]
    if names:
        raise UsageError(
            f"a saved plan fixes {', '.join(f'`{name}`' for name in names)}",
            consequence="nothing was run",
            hint="make another plan: marin-build plan -o DIR",
        )


def plan_saved(
    folder: str,
    options: PipelineOptions,
    request: PlanRequest,
    on_event: Callable[[Warned], None],
    signers: str | None = None,
) -> Planned:
    """Return the plan in a directory, against the store as it is now.

    Args:
        folder: the plan's directory.
        options: the profile; all else of the pipeline is fixed by the plan.
        request: the jobs and budgets; all else is fixed, too.
        on_event: gets a warning for each budget that no step takes from.
        signers: the file of allowed signers, one of whom must have signed the plan; None: as
            configured.

    Raises:
        StoppedError: the plan was edited, its signature is missing or wrong, the pipeline no
            longer has its targets or runs them otherwise, or it is stale.
        UsageError: the plan is for an engine that builds elsewhere.
        StoreError: the store cannot be read.

    """
    loaded, document = load_saved(folder, options, signers=signers)
    while not keep_used(loaded.store, plan := replan_saved(loaded, document)):
        pass  # `gc` has begun to delete what was to be reused: the next plan says so
    refuse_other_engine(chosen_engine(loaded), is_saved=True)
    planned = planned_of(loaded, plan, request, causes=False, on_event=on_event)
    pinned = pinned_code(document)
    return replace(planned, pinned_code=pinned, folder=folder, bundle=document.bundle)


def replan_saved(loaded: Loaded, document: PlanDocument) -> Plan:
    """Return the plan's targets with decisions against the store as it is now.

    What has been built meanwhile is reused; what was to be reused must still be there.

    Raises:
        StoppedError: a target that the plan reuses is gone.

    """
    targets = loaded.targets
    planned = {targets.by_id[d.target]: d for d in document.decisions}
    requested = [targets.by_id[id_] for id_ in document.requested]
    forced = rebuilt_anyway(document, targets)
    snapshot = observe_tainted(
        loaded, requested, forced, overwrite=agreed_overwrites(document, targets)
    )
    plan = make_plan(targets, snapshot, requested, forced=forced)
    blocked = {i for i, decision in planned.items() if decision.decision == "blocked"}
    plan = _still_blocked(plan, blocked) if blocked else plan
    surprises = [
        targets.all[d.index].id
        for d in plan.of_kind(Kind.RUN)
        if d.index not in planned or planned[d.index].decision not in {"run", "wait"}
    ]
    if surprises:
        raise StoppedError(
            "the plan is stale: it reuses targets that are gone, or tainted by now",
            facts=[("targets", "\n".join(surprises[:_SHOWN]))],
            consequence="nothing was run",
            hint="make the plan again",
        )
    later = {(each.name, each.declared) for each in document.expansions}
    waiting = (i for i, it in enumerate(targets.later) if (it.name, it.place) in later)
    return replace(plan, forced=forced, waiting=tuple(waiting))


def _still_blocked(plan: Plan, blocked: AbstractSet[int]) -> Plan:
    """Return the plan without what could be built now, but was blocked in the saved one."""
    decisions = tuple(
        Decision(d.index, Kind.BLOCKED, BlockedInPlan())
        if d.kind is Kind.RUN and d.index in blocked
        else d
        for d in plan.decisions
    )
    return replace(plan, decisions=decisions)
