"""`marin-build unlock`: show who holds a target, and take the lease away."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from marin_build.cli.options import pipeline_options

if TYPE_CHECKING:
    from marin_build.operations.options import PipelineOptions


@click.command("unlock")
@click.argument("target")
@click.option("--force", is_flag=True, help="Remove a lease whose holder may live.")
@click.option("--kill", is_flag=True, help="Kill what a dead holder has left running here.")
@pipeline_options
def command(options: PipelineOptions, target: str, *, force: bool, kill: bool) -> int:
    """Remove the lease on a target whose holder died.

    Seldom needed: `apply` itself takes over a target whose holder is gone. A holder that lives
    and loses its lease cannot commit what it does. A holder that was killed may have left
    processes on this machine that still write: the target stays held until they end, or
    `--kill` kills them.
    """
    from marin_build.cli.views.unlock_text import unlocked_text
    from marin_build.operations.loading import load
    from marin_build.operations.unlock import unlock_target

    click.echo(unlocked_text(unlock_target(load(options), target, force=force, kill=kill)))
    return 0
