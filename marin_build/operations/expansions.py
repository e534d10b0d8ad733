"""The expansions of a pipeline: called where what they need is built, and left waiting elsewhere.

An expansion is called when the status of each step that it needs says SUCCESS. A plan may find that
such a step is to be built again, for example because it is forced: then the expansion waits in that
plan, as its value may become another one.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from marin_build.errors import combined
from marin_build.operations.load_targets import load_targets, store_of
from marin_build.pipeline.call_expansion import call_expansion
from marin_build.pipeline.targets import LaterTargets
from marin_build.plan.decisions import Kind
from marin_build.plan.reasons import AssumedBuilt, SealedBefore
from marin_build.protocol.layout import STATUS
from marin_build.protocol.status import readable_status
from marin_build.workspace.workspace import use_workspace

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from marin_build.operations.loading import Loaded
    from marin_build.pipeline.expansion import Expanded, Expansion
    from marin_build.pipeline.load import Pipeline
    from marin_build.pipeline.step_spec import StepSpec
    from marin_build.pipeline.targets import Targets
    from marin_build.plan.decisions import Decision, Plan
    from marin_build.workspace.workspace import Workspace

    Load = Callable[[Pipeline, Workspace], tuple[Pipeline, Targets]]


def with_expansions(pipeline: Pipeline, targets: Targets, load: Load) -> tuple[Pipeline, Targets]:
    """Return a pipeline with what its expansions give, as far as that is known, and its targets.

    Args:
        pipeline: was loaded; nothing was asked about its expansions, or something about some.
        targets: those of the pipeline.
        load: returns the pipeline that it is given, or the same loaded again, and its targets.

    Raises:
        StoreError: the store cannot be read.
        MarinBuildError: the targets of an expansion clash with others.

    """
    while True:
        pipeline, has_grown = _grown(pipeline, targets)
        if not has_grown:
            return pipeline, replace(targets, later=_later(pipeline, targets))
        pipeline, targets = load(pipeline, targets.workspace)


def _grown(pipeline: Pipeline, targets: Targets) -> tuple[Pipeline, bool]:
    """Call each expansion that can be called; return also whether one was."""
    is_open = (each for each in pipeline.expansions if each.is_open)
    asked = [each for each in is_open if not each.waits(pipeline.unbuilt)]
    if not asked:
        return pipeline, False
    unbuilt = pipeline.unbuilt | _unbuilt(asked, targets)
    pipeline = replace(pipeline, unbuilt=unbuilt)
    use_workspace(targets.workspace)
    ready = [each for each in asked if not each.waits(unbuilt)]
    for each in ready:
        pipeline = call_expansion(pipeline, each)
    return pipeline, bool(ready)


def _unbuilt(asked: list[Expanded], targets: Targets) -> set[str]:
    """Return the ids of the targets that expansions need and whose status is not SUCCESS.

    A step that is no target was left out when the pipeline was loaded: it counts as not built.
    """
    steps = dict.fromkeys(step for each in asked for step in each.expansion.sources)
    ids = dict.fromkeys(step.target_id for step in steps)
    found = [targets.all[targets.by_id[id_]] for id_ in ids if id_ in targets.by_id]
    paths = [f"{target.output_path}/{STATUS}" for target in found]
    blobs = store_of(steps, targets.workspace.prefix).get_many(paths)
    return ids.keys() - {
        target.id
        for target, path, blob in zip(found, paths, blobs, strict=True)
        if readable_status(blob.data if blob is not None else None, path) == "SUCCESS"
    }


def _later(pipeline: Pipeline, targets: Targets) -> tuple[LaterTargets, ...]:
    def indices(steps: tuple[StepSpec, ...]) -> tuple[int, ...]:
        known = (targets.by_id.get(step.target_id) for step in steps)
        return tuple(dict.fromkeys(index for index in known if index is not None))

    return tuple(
        LaterTargets(
            each.expansion.name,
            each.expansion.place,
            indices(each.expansion.sources),
            None if each.steps is None else indices(each.steps),
            each.error,
        )
        for each in pipeline.expansions
    )


def looked_again(loaded: Loaded, plan: Plan, rebuilt: set[str]) -> Loaded | None:
    """Return the pipeline with the expansions that a plan leaves known; None if it has just these.

    Args:
        loaded: the pipeline.
        plan: a plan for its targets.
        rebuilt: ids of the targets that earlier plans were found to build; those of this plan that
            expansions need are added.

    Raises:
        StoreError: the store cannot be read.

    """
    pipeline, targets = loaded.pipeline, loaded.targets
    sources = {index for each in targets.later for index in each.sources}
    kept = {d.index for d in plan.decisions if _stays(d)}
    decided = {d.index for d in plan.decisions}
    rebuilt |= {targets.all[index].id for index in sources & decided - kept}
    built_since = {targets.all[index].id for index in sources & kept} - rebuilt
    unbuilt = (pipeline.unbuilt - built_since) | rebuilt
    before = pipeline.unbuilt | rebuilt
    called = [each for each in pipeline.expansions if not each.is_open]
    if unbuilt == before and not any(each.waits(rebuilt) for each in called):
        return None
    return expanded_anew(replace(loaded, pipeline=replace(pipeline, unbuilt=frozenset(unbuilt))))


def with_waiting(loaded: Loaded, plan: Plan, selectors: Sequence[str]) -> Plan:
    """Return a plan that knows which expansions are asked for and wait.

    Raises:
        SpecificationError: some that are asked for give no steps, though all that they need is
            built.

    """
    from marin_build.operations.plan import states_of
    from marin_build.plan.later_selection import selected_later
    from marin_build.plan.selection import matches_of

    targets = loaded.targets
    asked = selected_later(
        targets, selectors, lambda term: matches_of(targets, term, *states_of(loaded))
    )
    errors = [error for index in asked if (error := targets.later[index].error) is not None]
    if errors:
        raise combined(errors)
    return replace(
        plan, waiting=tuple(index for index in asked if targets.later[index].targets is None)
    )


def expanded_anew(loaded: Loaded, *, unbuilt: frozenset[str] | None = None) -> Loaded:
    """Return a loaded pipeline whose expansions are those that can be called now.

    Args:
        loaded: the pipeline; its file is not run again.
        unbuilt: ids of targets that count as not built; None: as for the pipeline until now.

    Raises:
        StoreError: the store cannot be read.
        MarinBuildError: the targets of an expansion clash with others.

    """
    pipeline = loaded.pipeline
    unbuilt = pipeline.unbuilt if unbuilt is None else unbuilt
    pipeline = replace(pipeline, expansions=_without(pipeline, unbuilt), unbuilt=unbuilt)
    workspace = loaded.targets.workspace
    pipeline, targets = with_expansions(
        *load_targets(pipeline, workspace), load_targets
    )
    return replace(
        loaded,
        workspace=targets.workspace,
        pipeline=pipeline,
        targets=targets,
        store=store_of((target.step for target in targets.all), targets.workspace.prefix),
    )


def _without(pipeline: Pipeline, unbuilt: frozenset[str]) -> tuple[Expanded, ...]:
    """Return the expansions of a pipeline; those that need what is not built were not called."""
    gone: set[Expansion] = set()
    found: list[Expanded] = []
    for each in pipeline.expansions:  # those within others come after them
        if each.within in gone:
            gone.add(each.expansion)
        elif each.waits(unbuilt):
            gone.add(each.expansion)
            found.append(replace(each, steps=None, error=None))
        else:
            found.append(each)
    return tuple(found)


def _stays(decision: Decision) -> bool:
    """Return whether the value of a target is the one that was read."""
    is_assumed = isinstance(decision.reason, AssumedBuilt | SealedBefore)
    return decision.kind is Kind.REUSE and not is_assumed
