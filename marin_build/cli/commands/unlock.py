"""`marin-build unlock`: show who holds a target, and remove the lease."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from marin_build.cli.options import pipeline_options
from marin_build.cli.terminal import echo

if TYPE_CHECKING:
    from marin_build.operations.loading.options import PipelineOptions


@click.command("unlock")
@click.argument("target")
@click.option("--force", is_flag=True, help="Remove the lease even if its holder may be alive.")
@click.option("--kill", is_flag=True, help="Kill what a dead holder has left running here.")
@pipeline_options
def command(options: PipelineOptions, target: str, *, force: bool, kill: bool) -> int:
    """Remove the lease on a target whose holder died.

    Seldom needed: `apply` itself takes over a target whose holder is gone. A holder that is alive
    and loses its lease cannot commit its output. A holder that was killed may have left processes
    on this machine that still write: the target stays held until they end, or `--kill` kills them.
    """
    from marin_build.cli.views.unlock_text import unlocked_text
    from marin_build.operations.loading.loading import load
    from marin_build.operations.marks.unlock import unlock_target

    loaded = load(options, needed=[target])
    echo(unlocked_text(unlock_target(loaded, target, force=force, kill=kill)))
    return 0
