"""`marin-build open`: an output in the program that this system opens it with."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

import click

from marin_build.cli.options import pipeline_options
from marin_build.cli.terminal import echo

if TYPE_CHECKING:
    from marin_build.operations.loading.options import PipelineOptions


@click.command("open")
@click.argument("target")
@click.argument("inside", metavar="[FILE]", required=False)
@pipeline_options
def command(options: PipelineOptions, target: str, inside: str | None) -> int:
    """Open an output, or FILE in it, in the program that this system opens such things with.

    TARGET is as for `show`. The program is that of the variable BROWSER, or `xdg-open`, or `open`.
    An output of a single file is opened as that file. The command prints the path. Away from a
    terminal, for an output in a bucket, and where there is no such program, it does nothing else,
    and says so.
    """
    from marin_build.cli.views.found_text import show_notes
    from marin_build.operations.outputs.open_output import (
        find_to_open,
        open_with,
        viewer_of,
        why_not_opened,
    )

    to_open = find_to_open(options, target, inside)
    show_notes(to_open.found.notes)
    echo(to_open.path)
    viewer = viewer_of(os.environ)
    why = why_not_opened(to_open.path, viewer)
    if not why and not sys.stdout.isatty():
        why = "standard output is no terminal"
    if not why and viewer is not None:
        sys.stdout.flush()
        why = open_with(viewer, to_open.path)
    if why:
        echo(f"note: nothing was opened: {why}", err=True)
    return 0
