"""`marin-build accept`: the user says that today's code would have built the same."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from marin_build.cli.options import pipeline_options

if TYPE_CHECKING:
    from marin_build.operations.loading.options import PipelineOptions


@click.command("accept")
@click.argument("targets", nargs=-1, required=True, metavar="TARGET...")
@click.option("--reason", required=True, help="Why the difference does not matter.")
@pipeline_options
def command(options: PipelineOptions, targets: tuple[str, ...], reason: str) -> int:
    """Record that today's code and environment would build the same output of a target.

    TARGET is as for `plan`; targets that are not built are left out. The command lists the drift
    before it accepts it. Plans report that drift no more, until the code or the environment changes
    again, or the target is built again.
    """
    from marin_build.cli.views.accept_text import show_accepted, show_found
    from marin_build.operations.loading.loading import load
    from marin_build.operations.marks.accept import accept_drift

    loaded = load(options, needed=targets)
    done = accept_drift(loaded, targets, reason, on_found=show_found)
    show_accepted(done)
    return 0
