"""Workflows of CI systems, written into a checkout."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from marin_build.emit.ci_workflow import PLACES, WRITTEN_BY, ci_workflow, is_as_written
from marin_build.emit.templates import Templates
from marin_build.errors import StoppedError, UsageError
from marin_build.operations.loading.find_pipeline import pipeline_file, prefix_of
from marin_build.operations.loading.git_worktree import top_level
from marin_build.operations.loading.options import option_words
from marin_build.workspace.places import is_url
from marin_build.workspace.workspace import Workspace

if TYPE_CHECKING:
    from marin_build.emit.ci_workflow import CiOptions, System
    from marin_build.operations.loading.options import PipelineOptions


def ci_text(system: System, wanted: CiOptions, options: PipelineOptions) -> str:
    """Return the workflow of a pipeline.

    Args:
        system: whose.
        wanted: what it is written for.
        options: name the pipeline; they become part of the commands.

    Raises:
        UsageError: a value can stand in no workflow.
        SpecificationError: a template of the project is malformed.

    """
    _, project, settings = pipeline_file(options)
    workspace = Workspace(project, prefix_of(options, settings, project))
    templates = Templates(workspace, settings.templates)
    return ci_workflow(system, wanted, option_words(options), templates)


def is_out_of_reach(wanted: CiOptions, options: PipelineOptions) -> bool:
    """Return whether outputs lie in the project's folder, of which each job has a new one."""
    _, project, settings = pipeline_file(options)
    prefix = prefix_of(options, settings, project)
    is_inside = not is_url(prefix) and os.path.join(prefix, "").startswith(
        os.path.join(project, "")
    )
    return is_inside and wanted.cache is None


def ci_place(system: System, text: str, folder: str | None = None) -> str:
    """Return where a workflow belongs: at the top of a checkout.

    Args:
        system: whose.
        text: what is to be written.
        folder: one of the checkout; None: the current folder.

    Raises:
        UsageError: it is in none.
        StoppedError: a file lies there that we did not write, or that was edited since.

    """
    try:
        top = top_level(os.path.abspath(folder or os.curdir))
    except UsageError as error:
        error.consequence, error.hint = "no workflow was written", "git init"
        raise
    place = os.path.join(top, PLACES[system])
    try:
        with open(place, encoding="utf-8") as stream:
            before = stream.read()
    except FileNotFoundError:
        return place
    except (OSError, ValueError) as error:
        raise UsageError(f"cannot read `{place}`: {error}") from error
    if before != text and not is_as_written(before):
        ours = before.startswith(WRITTEN_BY)
        how = "was edited since marin-build wrote it" if ours else "was not written by marin-build"
        raise StoppedError(
            f"`{PLACES[system]}` is there, and {how}",
            consequence="nothing was written",
            hint=f"see what would be written: marin-build ci {system} --stdout",
        )
    return place
