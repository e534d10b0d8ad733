"""The expansions of a pipeline: called where what they need is built, and left waiting elsewhere.

An expansion is called when the status of each step that it needs says SUCCESS. A plan may find that
such a step is to be built again, for example because it is forced: then the expansion waits in that
plan, as its value may become another one.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from marin_build.operations.loading.load_targets import store_of
from marin_build.pipeline.call_expansion import call_expansion
from marin_build.pipeline.targets import LaterTargets
from marin_build.protocol.layout import STATUS
from marin_build.protocol.status import readable_status
from marin_build.workspace.workspace import use_workspace

if TYPE_CHECKING:
    from collections.abc import Callable

    from marin_build.pipeline.expansion import Expanded
    from marin_build.pipeline.load import Pipeline
    from marin_build.pipeline.step_spec import StepSpec
    from marin_build.pipeline.targets import Targets
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
