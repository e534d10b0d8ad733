"""The expansions of a pipeline as a plan leaves them: some wait although they could be called."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from marin_build.errors import combined
from marin_build.operations.loading.expansions import with_expansions
from marin_build.operations.loading.load_targets import load_targets, store_of
from marin_build.plan.decisions import Kind
from marin_build.plan.later_selection import selected_later
from marin_build.plan.reasons import AssumedBuilt, SealedBefore

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from collections.abc import Set as AbstractSet

    from marin_build.operations.loading.loading import Loaded
    from marin_build.pipeline.expansion import Expanded, Expansion
    from marin_build.pipeline.load import Pipeline
    from marin_build.plan.decisions import Decision, Plan
    from marin_build.plan.selector_grammar import Term


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


def with_waiting(
    plan: Plan, selectors: Sequence[str], matches: Callable[[Term], AbstractSet[int]]
) -> Plan:
    """Return a plan that knows which expansions are asked for and wait.

    Args:
        plan: the plan.
        selectors: what was asked for; none: what the pipeline requests.
        matches: term -> the known targets that it selects.

    Raises:
        SpecificationError: some that are asked for give no steps, though all that they need is
            built.

    """
    later = plan.targets.later
    asked = selected_later(plan.targets, selectors, matches)
    errors = [error for index in asked if (error := later[index].error) is not None]
    if errors:
        raise combined(errors)
    return replace(plan, waiting=tuple(i for i in asked if later[i].targets is None))


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
    pipeline, targets = with_expansions(*load_targets(pipeline, workspace), load_targets)
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
