"""`marin-build init`: a pipeline to start from."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import click

from marin_build.cli.terminal import echo

if TYPE_CHECKING:
    from marin_build.emit.ci_workflow import System


@click.command("init")
@click.argument("folder", default=".")
@click.option(
    "--ci",
    "system",
    type=click.Choice(["github", "gitlab"]),
    help="Also write a workflow, as `ci github` does without options.",
)
def command(folder: str, system: System | None) -> int:
    """Write a pipeline to start from, and have git ignore its outputs.

    A pipeline.py that is there stays as it is.
    """
    from marin_build.cli.views.init_text import written_text
    from marin_build.operations.checks.init import write_first_pipeline

    echo(written_text(write_first_pipeline(folder), folder))
    if system is not None:
        from marin_build.cli.commands.ci import write_workflow
        from marin_build.emit.ci_workflow import CiOptions
        from marin_build.operations.loading.options import PipelineOptions

        write_workflow(system, CiOptions(), PipelineOptions(folder=os.path.abspath(folder)))
    return 0
