"""`marin-build status`: the state of each target: built, running, failed ..."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING

import click

from marin_build.cli.options import pipeline_options

if TYPE_CHECKING:
    from marin_build.operations.loading.options import PipelineOptions


@click.command("status")
@click.argument("targets", nargs=-1)
@click.option("-v", "--verbose", is_flag=True, help="A line for each target, however many.")
@click.option("--json", "as_json", is_flag=True, help="One JSON document.")
@pipeline_options
def command(
    options: PipelineOptions, targets: tuple[str, ...], *, verbose: bool, as_json: bool
) -> int:
    """Show the state of each target under this prefix, for runs on all machines.

    TARGET is as for `plan`; without one: the requested targets, and all they need, built or not;
    `ls` shows what lies there, of any pipeline and identity. The command writes nothing. It does
    not judge whether a holder on another machine is still alive. If the engine has a queue, it asks
    that once for jobs of targets that are not built.

    If the pipeline does not load, the targets are those of its newest run.
    """
    from marin_build.cli.views.found_text import show_notes, show_use
    from marin_build.cli.views.status_text import show_status, status_json
    from marin_build.operations.outputs.recall import load_or_recall
    from marin_build.operations.runs.status import read_status

    recalled = load_or_recall(options, targets)
    show_notes(recalled.notes)
    if verbose:
        show_use(recalled.loaded)
    read = read_status(recalled.loaded, recalled.selectors, ask_queues=recalled.is_declared)
    if as_json:
        sys.stdout.write(json.dumps(status_json(read), indent=1) + "\n")
    else:
        show_status(read, verbose=verbose)
    return 0
