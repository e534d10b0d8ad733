"""From what a pipeline declares to its targets: which of them, their inputs, their identities."""

from __future__ import annotations

from typing import TYPE_CHECKING

from marin_build.errors import MarinBuildError, combined
from marin_build.identity.attributes import FormerlyTagged
from marin_build.pipeline.graph import build_graph, steps_below
from marin_build.pipeline.late_bindings import late_bindings
from marin_build.pipeline.source_digests import digest_of
from marin_build.pipeline.targets import make_targets
from marin_build.store.open_store import open_store
from marin_build.workspace.places import is_url

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
) -> Targets:
    """Return the targets of a pipeline, after their sources were read.

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

        part = build_graph(steps_meant(steps_below(pipeline.roots), only))
        _identify(part, workspace, on_progress)
        targets = make_targets(part, workspace)
        if any(only in (target.id, target.name) for target in targets.all):
            return targets
    graph = build_graph(pipeline.roots)
    if needed and (remote := _remote_sources(graph)):
        from marin_build.plan.selection import steps_needed

        if (steps := steps_needed(graph.steps, needed)) is not None:
            part = build_graph(steps)
            if len(_remote_sources(part)) < len(remote):
                graph = part
    _identify(graph, workspace, on_progress)
    return make_targets(graph, workspace)


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
    sources = (source for step in graph.steps for source in step.inputs.values())
    remote = [source for source in sources if is_url(source.location)]
    return list({(it.location, it.include, it.exclude): it for it in remote}.values())


def _identify(graph: Graph, workspace: Workspace, on_progress: OnProgress) -> None:
    """Read the digests of all sources, before anything is fingerprinted.

    Raises:
        MarinBuildError: all sources that cannot be read, together; or all functions that would run
            with other values than their steps were declared with.

    """
    errors: list[MarinBuildError] = []
    remote, has_former = [], False
    for step in graph.steps:
        has_former = has_former or type(step.hash_attrs) is FormerlyTagged
        for source in step.inputs.values():
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
    if remote or has_former:
        from marin_build.observe.former_formulas import keep_former_identities

        prefix = workspace.prefix
        keep_former_identities(graph, prefix, lambda steps: store_of(steps, prefix))
