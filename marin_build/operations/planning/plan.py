"""From options to a plan: load the pipeline, read the store, decide, name the causes.

This is the one way to a plan. All other facts about it come from the `Planned` it returns.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from marin_build.errors import UsageError
from marin_build.garbage_collector import without_garbage_collector
from marin_build.operations.loading.loading import chosen_engine, load
from marin_build.operations.planning.budgets import capacity_here, fitted, unused_budgets
from marin_build.operations.planning.choose_targets import choose, states_of
from marin_build.operations.planning.planned import Planned, PlanRequest
from marin_build.operations.planning.take_snapshot import observe_tainted
from marin_build.plan.assumptions import NOTHING_ASSUMED, assume
from marin_build.plan.decide import make_plan

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from marin_build.apply.events import Warned
    from marin_build.operations.loading.loading import Loaded
    from marin_build.operations.loading.options import PipelineOptions
    from marin_build.plan.assumptions import Assumptions
    from marin_build.plan.decisions import Plan


def load_to_plan(
    options: PipelineOptions, on_event: Callable[[Warned], None], needed: Sequence[str] = ()
) -> Loaded:
    """Load a pipeline to plan it; refuse an unknown engine before a store is read.

    Args:
        options: name the pipeline.
        on_event: gets warnings for the pipeline's author.
        needed: as for `load`.

    """
    loaded = load(options, needed=needed)
    chosen_engine(loaded)  # refuses an unknown one
    for warning in loaded.warnings():
        on_event(warning)
    return loaded


@without_garbage_collector()
def make_planned(
    loaded: Loaded,
    request: PlanRequest,
    *,
    history: bool = True,
    on_event: Callable[[Warned], None] | None = None,
) -> Planned:
    """Observe the store, decide, block what this machine can never run, and name the causes.

    Args:
        loaded: the pipeline and its store.
        request: what is planned.
        history: read earlier builds of what is to be built, to tell what changed and to estimate.
        on_event: gets a warning for each budget of the request that no step takes from.

    Raises:
        UsageError: a selector selects nothing, or the assumptions contradict each other.
        SpecificationError: an expansion that is asked for gives no steps.
        StoreError: the store cannot be read.

    """
    plan = _plan_for(loaded, request, history=history)
    if loaded.targets.later:
        from marin_build.operations.planning.planned_expansions import looked_again, with_waiting
        from marin_build.plan.selection import matches_of

        rebuilt: set[str] = set()
        while (again := looked_again(loaded, plan, rebuilt)) is not None:
            loaded = again
            plan = _plan_for(loaded, request, history=history)
        targets, states = loaded.targets, states_of(loaded)
        plan = with_waiting(plan, request.targets, lambda term: matches_of(targets, term, *states))
    return planned_of(loaded, plan, request, causes=history, on_event=on_event)


def planned_of(
    loaded: Loaded,
    plan: Plan,
    request: PlanRequest,
    *,
    causes: bool,
    on_event: Callable[[Warned], None] | None = None,
) -> Planned:
    """Return a plan with all that is known of it; block steps that this machine can never run.

    Args:
        loaded: the pipeline and its store.
        plan: its decisions.
        request: what was planned.
        causes: read what changed at the root of each rebuild.
        on_event: gets a warning for each budget of the request that no step takes from.

    """
    if on_event is not None:
        for warning in unused_budgets(loaded.targets, request.budgets):
            on_event(warning)
        if to_build := plan.to_build:
            from marin_build.operations.planning.refuse_secrets import warnings_of_secrets

            for warning in warnings_of_secrets(loaded, to_build):
                on_event(warning)
    capacity = capacity_here(loaded.settings.budgets, request.budgets)
    engine = chosen_engine(loaded)
    plan = fitted(plan, engine, capacity)
    if on_event is not None and plan.to_build:
        from marin_build.apply.events import Warned

        for text in engine.warnings(plan):
            on_event(Warned(text))
    if causes:
        from marin_build.observe.read_causes import with_causes
        from marin_build.observe.read_renames import read_renamed
        from marin_build.pipeline.graph import steps_below

        def names() -> set[str]:  # of all steps: `explain` loads only what one target needs
            return {step.name for step in steps_below(loaded.pipeline.roots)}

        plan = read_renamed(loaded.store, plan, names)
        plan = with_causes(loaded.store, plan)
    return Planned(loaded, plan, request, capacity)


def _assumptions(loaded: Loaded, request: PlanRequest) -> Assumptions:
    """Return the assumptions of a request, by index of target."""
    changed, built = request.assume_changed, request.assume_built
    if not changed and not built:
        return NOTHING_ASSUMED
    to_build = set(choose(loaded, changed, unknown="leave out")) if changed else set[int]()
    to_reuse = choose(loaded, built, unknown="leave out") if built else ()
    forced = choose(loaded, request.forced, unknown="leave out") if request.forced else ()
    if both := sorted(to_build.union(forced).intersection(to_reuse)):
        raise UsageError(
            f"`{loaded.targets.all[both[0]].name}` is assumed to be built, and to be built again",
            consequence="nothing was planned",
        )
    return assume(loaded.targets, to_build, to_reuse)


def _plan_for(loaded: Loaded, request: PlanRequest, *, history: bool) -> Plan:
    """Observe the store and plan; with `history`, say what changed since earlier builds."""
    targets, assumed = loaded.targets, _assumptions(loaded, request)
    requested, forced, overwrite = targets.requested, frozenset[int](), request.overwrite
    if request.targets or request.forced:
        requested = choose(loaded, request.targets, unknown="build")
    if request.forced:
        forced = frozenset(choose(loaded, request.forced, unknown="leave out", requested=requested))
    seeds, progress = forced, request.progress
    if progress is not None:
        seeds |= progress.indices(targets, progress.rebuilt)
    snapshot = observe_tainted(
        loaded,
        requested,
        seeds,
        history=history,
        assumed=assumed,
        overwrite=dict.fromkeys(choose(loaded, overwrite, unknown="leave out"))
        if overwrite
        else {},
    )
    return make_plan(
        targets,
        snapshot,
        requested,
        forced=forced,
        rerun_failed=request.rerun_failed,
        assumed=assumed,
        progress=progress,
    )
