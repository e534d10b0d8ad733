"""From options to targets: configuration, workspace, pipeline, store. The edge of planning."""

from __future__ import annotations

import os
from dataclasses import field, replace
from typing import TYPE_CHECKING, Any

from marin_build.engines.registry import open_engine
from marin_build.garbage_collector import without_garbage_collector
from marin_build.operations.loading.find_pipeline import pipeline_file, prefix_of
from marin_build.operations.loading.load_targets import (
    load_targets,
    store_of_targets,
    targets_without_inputs,
)
from marin_build.operations.loading.passed_variables import passed_variables
from marin_build.pipeline.load import Pipeline, load_pipeline, load_program
from marin_build.pipeline.started_threads import lost_threads
from marin_build.pipeline.undeclared_files import undeclared_files
from marin_build.pipeline.user_output import to_standard_error
from marin_build.protocol.holder import current_user
from marin_build.protocol.lease import Host, this_host
from marin_build.quick_dataclass import dataclass
from marin_build.workspace.workspace import Workspace

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from marin_build.apply.events import Warned
    from marin_build.engines.base import Engine
    from marin_build.observe.read_drift import Environments
    from marin_build.operations.loading.config import Settings
    from marin_build.operations.loading.options import PipelineOptions
    from marin_build.pipeline.locate import PipelineModule
    from marin_build.pipeline.targets import Targets
    from marin_build.store.base import Store


@dataclass(frozen=True, slots=True)
class Declared:
    """A pipeline and its targets; no store was opened.

    The settings are those in force: the options' engine, if they name one, is among them.
    """

    settings: Settings
    workspace: Workspace
    pipeline: Pipeline
    targets: Targets

    @property
    def file(self) -> str:
        """The pipeline as `-f` names it in the project's folder."""
        return self.pipeline.module.named_from(self.workspace.project)

    def warnings(self) -> list[Warned]:
        """Return notes on how the steps were found, and warnings for the pipeline's author."""
        return _as_events(self.pipeline.notes, self.warning_texts())

    def warning_texts(self) -> list[str]:
        """Return warnings about undeclared files, lost threads, and unsteady identities."""
        every, named = self.targets.all, sorted(self.targets.traits.with_texts)
        undeclared = undeclared_files((every[index].step for index in named), self.workspace)
        texts = undeclared + lost_threads(self.pipeline.threads)
        if self.workspace.marin_era is not None:  # our own identities refuse such values
            from marin_build.pipeline.unsteady_identities import unsteady_identities

            steps = (target.step for target in self.targets.all)
            texts += unsteady_identities(steps, self.workspace.project)
        return texts


def _as_events(notes: Sequence[str], texts: Sequence[str]) -> list[Warned]:
    if not texts and not notes:
        return []
    from marin_build.apply.events import Warned

    return [*(Warned(text, kind="note") for text in notes), *(Warned(text) for text in texts)]


@dataclass(frozen=True, slots=True)
class AdoptedData:
    """Where adopted data lies, and what was found there when it was adopted.

    Args:
        location: an absolute path or a URL; the output path itself if it lies there.
        output: the target's output path, where its record lies.
        attempt: the number of the attempt that adopted it.
        files, size: how many files, and their bytes.

    """

    location: str
    output: str
    attempt: int
    files: int
    size: int


@dataclass(frozen=True, slots=True)
class Loaded(Declared):
    """A pipeline, ready to be planned."""

    store: Store
    host: Host
    adopted: Mapping[str, AdoptedData] = field(default_factory=dict)
    """By target id, the adopted data that steps read; see operations/loading/adopted_data.py."""
    kept: KeptLoad | None = None
    """What an earlier load gave, if this is that; None: the pipeline was loaded here."""
    use: str = ""
    """Whether that is so, and if not why, in words after the pipeline's name; empty: not asked."""

    def warnings(self) -> list[Warned]:
        """Return what `Declared.warnings` returns; of an earlier load what it returned."""
        texts = self.warning_texts() if self.kept is None else self.kept.warnings
        return _as_events(self.pipeline.notes, texts)

    def with_functions(self) -> Loaded:
        """Return the pipeline as it is loaded now, to run its steps.

        Raises:
            StoppedError: it declares something else than was kept.
            MarinBuildError: it cannot be loaded.

        """
        return self if self.kept is None else self.kept.load()


@dataclass(frozen=True, slots=True)
class KeptLoad:
    """An earlier load that is used in place of one.

    Args:
        warnings: for the pipeline's author.
        load: loads the pipeline, once, and makes sure that it declares what was kept.

    """

    warnings: tuple[str, ...]
    load: Callable[[], Loaded]


def load(options: PipelineOptions, only: str | None = None, needed: Sequence[str] = ()) -> Loaded:
    """Load the pipeline that the options name.

    Args:
        options: say where it is.
        only: the name or id of a target: what it does not need is left out. Any other selector
            leaves out nothing.
        needed: selectors of the targets it is about; empty: all. Where others read remote inputs
            that these do not need, and names and tags say so, they are left out.

    """
    return opened(declare(options, only, needed))


def chosen_engine(loaded: Declared) -> Engine[Any]:
    """Return the engine that the options or the configuration choose, with its settings.

    Raises:
        UsageError: the engine is unknown, cannot be loaded, or has a wrong setting.

    """
    return open_engine(loaded.settings.engine, loaded.settings.engines)


def environments_for(loaded: Loaded, engine: Engine[Any]) -> Environments:
    """Return the environments that the pipeline's steps would be built in by an engine."""
    from marin_build.observe.read_drift import Environments

    return Environments(loaded.workspace.project, engine.finds_our_packages, engine.image_of)


def declare(
    options: PipelineOptions,
    only: str | None = None,
    needed: Sequence[str] = (),
    *,
    with_inputs: bool = True,
) -> Declared:
    """Load the pipeline that the options name, and open no store for its outputs.

    Args:
        options: say where it is.
        only, needed: as for `load`.
        with_inputs: read what its sources hold; else see `targets_without_inputs`.

    """
    with without_garbage_collector():
        return _declare(options, only, needed, with_inputs=with_inputs)


def opened(declared: Declared) -> Loaded:
    """Return a pipeline with the store of its outputs."""
    return Loaded(
        declared.settings,
        declared.workspace,
        declared.pipeline,
        declared.targets,
        store_of_targets(declared.targets),
        current_host(),
    )


@dataclass(frozen=True, slots=True)
class LoadRequest:
    """What is loaded, and with what: all that options and configuration say.

    Args:
        module: the pipeline.
        settings: those in force.
        workspace: project, prefix and code policy.
        parameters: what the pipeline is given, as text.

    """

    module: PipelineModule
    settings: Settings
    workspace: Workspace
    parameters: Mapping[str, str]


def request_of(options: PipelineOptions) -> LoadRequest:
    """Return what options name; nothing is loaded.

    Raises:
        UsageError: the configuration or a file of parameters cannot be read.

    """
    module, project, settings = pipeline_file(options)
    workspace = Workspace(
        project,
        prefix_of(options, settings, project),
        options.code or settings.code,
        marin_era=settings.marin_era if settings.marin_aliases else None,
    )
    parameters = _parameters(options, settings, project)
    if options.engine:
        settings = replace(settings, engine=options.engine)
    return LoadRequest(module, settings, workspace, parameters)


def _declare(
    options: PipelineOptions,
    only: str | None,
    needed: Sequence[str],
    *,
    with_inputs: bool,
) -> Declared:
    named = request_of(options)
    module, settings, workspace = named.module, named.settings, named.workspace
    with to_standard_error():  # an identity asks values of the author's classes, too
        if options.program is not None:
            pipeline = load_program(options.program, workspace, named.parameters)
        else:
            pipeline = load_pipeline(module, workspace, named.parameters)

        def load(pipeline: Pipeline, workspace: Workspace) -> tuple[Pipeline, Targets]:
            if not with_inputs:
                return pipeline, targets_without_inputs(pipeline, workspace)
            return load_targets(
                pipeline, workspace, only=only, needed=needed, on_progress=options.on_progress
            )

        if options.unbuilt:
            pipeline = replace(pipeline, unbuilt=frozenset(options.unbuilt))
        pipeline, targets = load(pipeline, workspace)
        if pipeline.expansions and not (only and _has(targets, only)):
            from marin_build.operations.loading.expansions import with_expansions

            pipeline, targets = with_expansions(pipeline, targets, load)
    return Declared(settings, targets.workspace, pipeline, targets)


def _has(targets: Targets, wanted: str) -> bool:
    return any(wanted in (target.id, target.name) for target in targets.all)


def _parameters(options: PipelineOptions, settings: Settings, project: str) -> dict[str, str]:
    """Return what the pipeline is given: by `--set`, by files, by variables; the first wins."""
    given, passed = options.parameters or {}, passed_variables(settings, os.environ)
    configured = settings.params if options.params is not None else None
    if not (configured or options.params):
        return {**passed, **given}
    from marin_build.operations.loading.parameter_files import with_files

    files = [(os.path.join(project, configured), configured)] if configured else []
    return with_files(given, [*files, *((path, path) for path in options.params or ())], passed)


def current_host() -> Host:
    """Return this machine, as leases name it."""
    return this_host(current_user(), os.uname().nodename)
