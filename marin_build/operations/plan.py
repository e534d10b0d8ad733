"""From options to a plan: load the pipeline, read the store, decide, name the causes.

This is the one way to a plan. All other facts about it come from the `Planned` it returns.
"""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from types import MappingProxyType
from typing import TYPE_CHECKING

from marin_build.errors import UsageError
from marin_build.garbage_collector import without_garbage_collector
from marin_build.observe.read_snapshot import doubt_of, list_tainted, observe
from marin_build.operations.budgets import capacity_here, fitted, unused_budgets
from marin_build.operations.loading import chosen_engine, load
from marin_build.operations.planned import Planned, PlanRequest
from marin_build.plan.assumptions import NOTHING_ASSUMED, assume
from marin_build.plan.decisions import Plan, cascade_of, make_plan

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from collections.abc import Set as AbstractSet

    from marin_build.apply.events import Warned
    from marin_build.operations.loading import Loaded
    from marin_build.operations.options import PipelineOptions
    from marin_build.plan.assumptions import Assumptions
    from marin_build.plan.block_reasons import Unreadable
    from marin_build.plan.later_selection import Unknown
    from marin_build.plan.selection import ChangedSince, Drifted, StatusOf
    from marin_build.plan.snapshot import Snapshot
    from marin_build.protocol.status import Status
    from marin_build.protocol.taints import Taint

_NOTHING: Mapping[int, str | None] = MappingProxyType({})


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
        from marin_build.operations.planned_expansions import looked_again, with_waiting
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
            from marin_build.operations.refuse_secrets import warnings_of_secrets

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
    with without_garbage_collector():
        return _plan(loaded, request, history=history)


def _plan(loaded: Loaded, request: PlanRequest, *, history: bool) -> Plan:
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
        else _NOTHING,
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


def observe_tainted(
    loaded: Loaded,
    requested: Sequence[int],
    forced: frozenset[int] = frozenset(),
    *,
    history: bool = False,
    assumed: Assumptions = NOTHING_ASSUMED,
    compared: Sequence[int] = (),
    overwrite: Mapping[int, str | None] = _NOTHING,
) -> Snapshot:
    """Read what planning needs, the marks of tainted targets included.

    Marks decide how far down the graph is read, but they are rare. So a remote store lists them
    while the snapshot is read as if there were none; if there are some, it is read again.
    `compared`: built targets whose data is compared, even if nothing is built from them.
    `overwrite`: targets whose foreign data may be deleted -> its listing; None: whatever is there.
    """
    store, targets = loaded.store, loaded.targets
    cascade = cascade_of(targets, requested, forced, assumed)

    def read(cascade: AbstractSet[int]) -> Snapshot:
        return observe_for(
            loaded,
            requested,
            cascade,
            history=history,
            assumed=assumed,
            compared=compared,
            overwrite=overwrite,
        )

    if store.is_local:
        marked, snapshot = list_tainted(store, targets), None
    else:
        from concurrent.futures import ThreadPoolExecutor

        with ThreadPoolExecutor(1) as pool:
            listing = pool.submit(list_tainted, store, targets)
            snapshot = read(cascade)
            marked = listing.result()
    tainted: Mapping[int, Taint] = {}
    damaged: dict[int, Unreadable] = {}
    if marked:
        from marin_build.observe.read_taints import read_taints

        tainted = read_taints(store, targets, marked, damaged=damaged.__setitem__)
    known, cascade = cascade, cascade_of(targets, requested, forced | tainted.keys(), assumed)
    if snapshot is None or cascade != known:
        snapshot = read(cascade)
    if damaged:
        from marin_build.observe.read_taints import with_damaged_marks

        snapshot = with_damaged_marks(targets, snapshot, requested, damaged)
    return replace(snapshot, tainted=tainted)


def observe_for(
    loaded: Loaded,
    requested: Sequence[int],
    cascade: AbstractSet[int] = frozenset(),
    *,
    history: bool = False,
    assumed: Assumptions = NOTHING_ASSUMED,
    compared: Sequence[int] = (),
    overwrite: Mapping[int, str | None] = _NOTHING,
) -> Snapshot:
    """Read what planning needs; note outputs that a power cut may have kept from the disk."""
    return observe(
        loaded.store,
        loaded.targets,
        requested,
        cascade,
        loaded.host,
        history=history,
        is_doubtful=doubt_of(loaded.workspace.prefix, loaded.host.machine_boot),
        assumed=assumed,
        losses=True,
        compared=compared,
        overwrite=overwrite,
    )


def choose(
    loaded: Loaded,
    selectors: Sequence[str],
    requested: Sequence[int] = (),
    *,
    unknown: Unknown = "refuse",
) -> tuple[int, ...]:
    """Return the targets that selectors select; the requested ones without selectors.

    Args:
        loaded: the pipeline and its store.
        selectors: which targets.
        requested: targets in whose plan drift is looked for, besides the plan of the pipeline.
        unknown: what becomes of selectors that may only select targets that are not known yet.

    Raises:
        UsageError: selectors that cannot be read or select nothing, all of them together.
        StoreError: the store cannot be read.

    """
    from marin_build.plan.selection import select  # a run without selectors has no use for it

    status_of, changed_since, drifted = states_of(loaded, requested)
    return select(
        loaded.targets,
        selectors,
        status_of=status_of,
        changed_since=changed_since,
        drifted=drifted,
        unknown=unknown,
    )


def states_of(
    loaded: Loaded, requested: Sequence[int] = ()
) -> tuple[StatusOf, ChangedSince, Drifted]:
    """Return what selectors ask the store and git, each asked when it is first needed.

    `requested`: as for `choose`.
    """

    @cache
    def statuses() -> list[Status | None]:
        return _read_statuses(loaded)

    def changed_since(revision: str) -> AbstractSet[int]:
        from marin_build.operations.git_revisions import changed_targets

        return changed_targets(loaded, revision)

    def drifted() -> AbstractSet[int]:
        return _drifted_targets(loaded, requested)

    return lambda index: statuses()[index], changed_since, drifted


def _drifted_targets(loaded: Loaded, requested: Sequence[int]) -> AbstractSet[int]:
    """Return what a plan of the pipeline's requested targets, and of others, reports as drifted."""
    from marin_build.observe.read_drift import find_drift
    from marin_build.operations.loading import environments_for

    wanted = tuple(dict.fromkeys((*loaded.targets.requested, *requested)))
    plan = make_plan(loaded.targets, observe_tainted(loaded, wanted), wanted)
    environments = environments_for(loaded, chosen_engine(loaded))
    return find_drift(loaded.store, plan, environments, parts=False).drift.keys()


def _read_statuses(loaded: Loaded) -> list[Status | None]:
    """Read the statuses of all targets in one batch; an unreadable one counts as none."""
    from marin_build.protocol.layout import STATUS
    from marin_build.protocol.status import readable_status

    paths = [f"{target.output_path}/{STATUS}" for target in loaded.targets.all]
    return [
        readable_status(blob.data if blob is not None else None, path)
        for blob, path in zip(loaded.store.get_many(paths), paths, strict=True)
    ]
