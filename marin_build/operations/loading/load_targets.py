"""From what a pipeline declares to its targets: which of them, their inputs, their identities."""

from __future__ import annotations

from dataclasses import replace
from types import MappingProxyType
from typing import TYPE_CHECKING

from marin_build.errors import MarinBuildError, combined
from marin_build.identity.attributes import FormerlyTagged
from marin_build.pipeline.graph import build_graph, steps_below
from marin_build.pipeline.late_bindings import late_bindings
from marin_build.pipeline.source_digests import digest_of, is_known, remember_digest
from marin_build.pipeline.targets import make_targets
from marin_build.store.open_store import open_store
from marin_build.workspace.places import is_url
from marin_build.workspace.workspace import use_workspace

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from marin_build.observe.read_remote_sources import ReadingInputs
    from marin_build.pipeline.graph import Graph
    from marin_build.pipeline.load import Pipeline
    from marin_build.pipeline.source import Source
    from marin_build.pipeline.step_spec import StepSpec
    from marin_build.pipeline.targets import Targets
    from marin_build.store.base import Store
    from marin_build.workspace.workspace import Workspace

    OnProgress = Callable[[ReadingInputs], None] | None


def load_targets(
    pipeline: Pipeline,
    workspace: Workspace,
    *,
    only: str | None = None,
    needed: Sequence[str] = (),
    on_progress: OnProgress = None,
) -> tuple[Pipeline, Targets]:
    """Return the targets of a pipeline, after their sources were read, and the pipeline.

    A pipeline that asked for the path of a step that keeps a former identity (docs/adr/0027) got
    another path, and may have kept it. So it is loaded again, and the result is that one.

    Args:
        pipeline: was loaded in `workspace`.
        workspace: has the prefix.
        only: the name or id of a target: what it does not need is left out, if that is there.
        needed: selectors of the targets that are asked for; empty: all. Others are left out if they
            read remote inputs that these do not need.
        on_progress: is told how far the reading of remote inputs is, where that takes long.

    Raises:
        MarinBuildError: all sources that cannot be read, together; or all clashes of identities.

    """
    if only is not None:
        from marin_build.plan.selection import steps_meant

        def part(whole: Pipeline) -> Graph:
            return build_graph(steps_meant(steps_below(whole.roots), only))

        found = _targets_of(pipeline, workspace, part, on_progress, only)
        if any(only in (target.id, target.name) for target in found[1].all):
            return found
        use_workspace(workspace)
    return _targets_of(pipeline, workspace, lambda it: _graph_of(it, needed), on_progress, only)


def targets_without_inputs(pipeline: Pipeline, workspace: Workspace) -> Targets:
    """Return the targets of a pipeline without reading what its sources hold, or any store.

    Where each source lies stands for its content: the fingerprints are not those of a plan.

    Raises:
        MarinBuildError: all clashes of identities; or all functions that would run with other
            values than their steps were declared with.

    """
    from marin_build.identity.code.syntax import digest_of_text  # plans have no use for it

    graph = build_graph(pipeline.roots)
    for step in graph.steps:
        for source in step.inputs.values():
            if not is_known(source):
                place = repr((source.location, source.include, source.exclude))
                remember_digest(source, digest_of_text(place))
    if errors := late_bindings(graph.steps):
        raise combined(sorted(errors, key=str))
    return make_targets(graph, workspace, are_final=False)


def _targets_of(
    pipeline: Pipeline,
    workspace: Workspace,
    graph_of: Callable[[Pipeline], Graph],
    on_progress: OnProgress,
    wanted: str | None,
) -> tuple[Pipeline, Targets]:
    """Return the targets of the part of a pipeline that `graph_of` returns, and the pipeline."""
    graph, prefix = graph_of(pipeline), workspace.prefix
    if not _read_sources(graph, on_progress):
        return pipeline, make_targets(graph, workspace)
    from marin_build.observe.former_formulas import keep_former_identities

    given = {step: step.output_path_in(prefix) for step in pipeline.asked}
    former = keep_former_identities(graph, prefix, lambda steps: store_of(steps, prefix), wanted)
    if former:
        workspace = replace(workspace, former=MappingProxyType(former))
        use_workspace(workspace)
        if any(step.output_path_in(prefix) != path for step, path in given.items()):
            from marin_build.pipeline.load import load_again

            pipeline = load_again(pipeline, workspace)
            graph = graph_of(pipeline)
    return pipeline, make_targets(graph, workspace)


def _graph_of(pipeline: Pipeline, needed: Sequence[str]) -> Graph:
    """Return the graph of what is asked for; `needed` is that of `load_targets`."""
    graph = build_graph(pipeline.roots)
    if needed and (remote := _remote_sources(graph)):
        from marin_build.plan.selection import steps_needed

        if (steps := steps_needed(graph.steps, needed)) is not None:
            part = build_graph(steps)
            if len(_remote_sources(part)) < len(remote):
                return part
    return graph


def store_of(steps: Iterable[StepSpec], prefix: str) -> Store:
    """Return the store of the prefix; of several schemes, if steps have paths of their own."""
    elsewhere = [
        step.output_path_in(prefix)
        for step in steps
        if step.output_path_prefix is not None or step.override_output_path is not None
    ]
    if elsewhere:
        from marin_build.store.routing import RoutingStore, schemes_of

        schemes = schemes_of(prefix, elsewhere)
        if len(schemes) > 1:
            return RoutingStore(schemes, open_store)
    return open_store(prefix)


def _remote_sources(graph: Graph) -> list[Source]:
    reading = sorted(graph.traits.with_inputs)
    sources = (source for i in reading for source in graph.steps[i].inputs.values())
    remote = [source for source in sources if is_url(source.location)]
    return list({(it.location, it.include, it.exclude): it for it in remote}.values())


def _read_sources(graph: Graph, on_progress: OnProgress) -> bool:
    """Read the digests of all sources; return whether steps may have a former identity.

    Raises:
        MarinBuildError: all sources that cannot be read, together; or all functions that would run
            with other values than their steps were declared with.

    """
    errors: list[MarinBuildError] = []
    remote, texts = [], graph.traits.with_texts
    has_former = any(type(graph.steps[i].hash_attrs) is FormerlyTagged for i in texts)
    for index in sorted(graph.traits.with_inputs):
        for source in graph.steps[index].inputs.values():
            if is_url(source.location):
                remote.append(source)
                continue
            try:
                digest_of(source)
            except MarinBuildError as error:
                errors.append(error)
    if remote:
        from marin_build.observe.read_remote_sources import read_remote_digests

        errors += read_remote_digests(remote, on_progress)
    if not errors:
        errors += late_bindings(graph.steps)
    if errors:
        raise combined(sorted(errors, key=str))
    return has_former or bool(remote)
