"""`marin-build init`: a pipeline to start from."""

from __future__ import annotations

import click

from marin_build.cli.terminal import echo


@click.command("init")
@click.argument("folder", default=".")
def command(folder: str) -> int:
    """Write a pipeline to start from, and have git ignore its outputs.

    A pipeline.py that is there stays as it is.
    """
    from marin_build.cli.views.init_text import written_text
    from marin_build.operations.init import write_first_pipeline

    echo(written_text(write_first_pipeline(folder), folder))
    return 0
