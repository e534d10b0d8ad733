"""What `Project` stands on: its options, and loading its pipeline as a new program would."""

from __future__ import annotations

import gc
import os
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, TypedDict

from marin_build.operations.loading.find_pipeline import pipeline_file, prefix_of
from marin_build.operations.loading.loading import load
from marin_build.operations.loading.options import PipelineOptions, parameter_text
from marin_build.operations.planning.planned import PlanRequest
from marin_build.pipeline.load import check_is_there

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from marin_build.operations.loading.config import OnDrift
    from marin_build.operations.loading.loading import Loaded
    from marin_build.pipeline.project_modules import Stamps
    from marin_build.workspace.workspace import CodePolicy

    Selectors = str | Sequence[str]


class ApplyOptions(TypedDict, total=False):
    """The options of `Project.apply`."""

    force: Selectors
    rerun_failed: bool
    jobs: int | None
    budgets: Mapping[str, object]
    keep_going: bool
    max_failures: int | None
    fail_fast: bool
    isolation: str | None
    lease: bool
    trace: str | None
    overwrite: Selectors
    on_drift: OnDrift | None
    stream_logs: bool


class ProjectBase:
    """A pipeline with its configuration and its store.

    Args:
        options: name the pipeline and its place. A relative file or prefix is resolved now: a later
            change of the current folder has no effect.

    """

    def __init__(self, options: PipelineOptions) -> None:
        module, folder, settings = pipeline_file(options)
        if options.program is None:
            check_is_there(module, folder)
        is_unfiled = options.program is not None and not options.program.has_file
        self._module = module
        self._folder = folder
        self._options = replace(
            options,
            file=None if is_unfiled else module.named_from(folder),
            folder=folder,
            prefix=prefix_of(options, settings, folder),
        )
        self._imported: Stamps = ()

    @property
    def folder(self) -> str:
        """The absolute folder of the project: relative places are taken from it."""
        return self._folder

    @property
    def prefix(self) -> str:
        """Where outputs live: an absolute folder, or a URL."""
        return str(self._options.prefix)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self._module.named_from(self._folder)} in {self._folder}>"

    @contextmanager
    def _loaded(self, only: str | None = None) -> Iterator[Loaded]:
        """Load the pipeline for a block; `only` as for `load`."""
        with self._loading():
            yield load(self._options, only)

    @contextmanager
    def _loading(self) -> Iterator[None]:
        """Let the block load a pipeline as a new program would; restore the garbage collector.

        Modules of the project are imported anew if the file of one has changed since they were.
        """
        from marin_build.pipeline.project_modules import (
            changed_since,
            forget_modules,
            module_stamps,
        )

        is_file, frozen = self._options.program is None, gc.get_freeze_count()
        if is_file and changed_since(self._imported):
            forget_modules(self._folder, self._module)
        try:
            yield
        finally:
            if is_file:
                self._imported = module_stamps(self._folder, self._module)
            if not frozen:  # a command keeps its graph until it ends; a program makes many
                gc.unfreeze()


def make_options(
    file: str | os.PathLike[str] | None,
    prefix: str | os.PathLike[str] | None,
    profile: str | None,
    params: Mapping[str, object] | None,
    engine: str | None,
    code: CodePolicy | None,
) -> PipelineOptions:
    """Return the options that an equal command line would have; arguments as of `Project.open`."""
    return PipelineOptions(
        os.fspath(file) if file is not None else None,
        os.fspath(prefix) if prefix is not None else None,
        profile,
        engine,
        {name: parameter_text(name, value) for name, value in (params or {}).items()},
        code,
    )


def request_of(
    targets: Sequence[str],
    force: Selectors,
    rerun_failed: bool,
    jobs: int | None,
    budgets: Mapping[str, object] | None,
    *,
    changed: Selectors = (),
    built: Selectors = (),
    overwrite: Selectors = (),
) -> PlanRequest:
    """Return the request that an equal command line would make; arguments as of `Project.plan`."""
    from marin_build.operations.planning.budgets import check_budgets

    given = {name: str(amount) for name, amount in (budgets or {}).items()}
    check_budgets(given)
    return PlanRequest(
        tuple(targets),
        selectors_in(force),
        selectors_in(changed),
        selectors_in(built),
        rerun_failed,
        jobs,
        given,
        selectors_in(overwrite),
    )


def selectors_in(selectors: Selectors) -> tuple[str, ...]:
    """Return one selector, or several, as several."""
    return (selectors,) if isinstance(selectors, str) else tuple(selectors)
