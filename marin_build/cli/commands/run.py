"""`marin-build run`: build one target here and now, in the foreground, for debugging."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from marin_build.cli.options import pipeline_options
from marin_build.cli.views.warnings import show_event

if TYPE_CHECKING:
    from marin_build.operations.loading.options import PipelineOptions


@click.command("run")
@click.argument("target")
@click.option("--force", is_flag=True, help="Build it even if it is built.")
@click.option("--no-lease", is_flag=True, help="Take no lease: no other run may build there.")
@pipeline_options
def command(options: PipelineOptions, target: str, *, force: bool, no_lease: bool) -> int:
    """Build one target in the foreground: its step has the keyboard and the screen.

    Its dependencies must be built. It runs in this process, as with `apply`: under its lease,
    with its environment variables, in this working directory; `breakpoint()` works. It is tried
    once, its time-out does not count, and if it succeeds it is committed.
    """
    from marin_build.cli.standard_streams import output_for_step
    from marin_build.cli.views.run_text import show_ran
    from marin_build.operations.building.run import run_target
    from marin_build.operations.loading.loading import load

    loaded = load(options, only=target)
    with output_for_step():
        ran = run_target(
            loaded, target, options, force=force, lease=not no_lease, on_event=show_event
        )
    show_ran(ran)
    return ran.exit_code
