"""`marin-build path`: where outputs lie, for scripts."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

import click

from marin_build.cli.options import pipeline_options
from marin_build.cli.terminal import echo

if TYPE_CHECKING:
    from marin_build.observe.read_builds import StoredOutput
    from marin_build.operations.loading.options import PipelineOptions


@click.command("path")
@click.argument("targets", nargs=-1)
@pipeline_options
def command(options: PipelineOptions, targets: tuple[str, ...]) -> int:
    """Print where outputs lie, one path or URL a line, and nothing else.

    TARGET is as for `plan`; without one: the requested targets. Words that name one identity need
    no pipeline: `report@latest`, `report@r-1a2b3c4d` (what that run built), `report_da69ccbb` and
    `report@2026.03`. A target that is not built has its path printed, too: standard error says so,
    and the exit code is 1.
    """
    from marin_build.cli.views.found_text import show_notes
    from marin_build.errors import EXIT_OK, EXIT_TARGET_FAILED
    from marin_build.operations.outputs.find_outputs import find_outputs

    found = find_outputs(options, targets)
    show_notes(found.notes)
    for output in found.outputs:
        _show(output)
    sys.stdout.flush()  # what is said below comes after the paths
    unbuilt = [output for output in found.outputs if not output.is_built]
    for output in unbuilt:
        echo(f"note: `{output.target}` is not built", err=True)
    return EXIT_TARGET_FAILED if unbuilt else EXIT_OK


def _show(output: StoredOutput) -> None:
    """Print a path as it is, whatever bytes its folder is named with; a terminal gets no codes."""
    if sys.stdout.isatty():
        echo(output.data)
        return
    sys.stdout.flush()
    sys.stdout.buffer.write(os.fsencode(output.data) + b"\n")
