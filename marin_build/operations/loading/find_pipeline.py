"""Which pipeline options name, and where its outputs live; nothing is loaded."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from marin_build.errors import UsageError
from marin_build.operations.loading.config import Settings, load_settings
from marin_build.pipeline.locate import PipelineModule, locate, project_of_module
from marin_build.workspace.workspace import (
    DEFAULT_PREFIX,
    PREFIX_VARIABLE,
    absolute_prefix,
    find_project,
)

if TYPE_CHECKING:
    from marin_build.operations.loading.options import PipelineOptions
    from marin_build.pipeline.program import Program


def pipeline_file(options: PipelineOptions) -> tuple[PipelineModule, str, Settings]:
    """Return the pipeline that the options name, its project, and the configuration.

    The project is that of the pipeline's file; of an installed one it is that of the current
    folder, because users do not work among installed packages.

    Raises:
        UsageError: there is no current folder any more, or the name is ambiguous.

    """
    if options.program is not None:
        project = options.program.project
        return options.program.module, project, load_settings(project, options.profile)
    try:
        folder = os.getcwd()
    except FileNotFoundError:
        raise UsageError(
            "the current folder does not exist any more",
            consequence="nothing was run",
            hint="go to the project's folder once more: cd ...",
        ) from None
    here = find_project(options.folder or folder)
    if options.file is not None:
        module = locate(options.file, [options.folder or folder], here)
        project = project_of_module(module, here)
        return module, project, load_settings(project, options.profile)
    settings = load_settings(here, options.profile)
    return locate(settings.pipeline, [folder, here], here), here, settings


def refuse_without_file(program: Program | None, what: str) -> None:
    """Refuse an operation that needs the pipeline's file, if only this program declares the steps.

    Args:
        program: declares the steps; None: a file does.
        what: the operation, and that it cannot be done.

    Raises:
        UsageError: there is no such file.

    """
    if program is not None and not program.has_file:
        raise UsageError(
            f"{what}: its steps are declared by a running program, in no file",
            consequence="nothing was done",
            hint='declare them in a file, and open that: Project.open("pipeline.py")',
        )


def prefix_of(options: PipelineOptions, settings: Settings, project: str) -> str:
    """Return where outputs live: the first of option, environment variable, setting and default."""
    cwd = os.getcwd()
    for given, base in (
        (options.prefix, cwd),
        (os.environ.get(PREFIX_VARIABLE), cwd),
        (settings.prefix, project),
    ):
        if given:
            return absolute_prefix(given, base)
    return absolute_prefix(DEFAULT_PREFIX, project)
