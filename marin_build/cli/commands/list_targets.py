"""`marin-build list-targets`: a pipeline's targets for another process of ours (not shown)."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

import click

from marin_build.cli.options import pipeline_options

if TYPE_CHECKING:
    from marin_build.operations.options import PipelineOptions


@click.command("list-targets", hidden=True)
@click.option("--elsewhere", is_flag=True, help="On other machines, in another region.")
@pipeline_options
def command(options: PipelineOptions, *, elsewhere: bool) -> int:
    """Write all targets with payloads and code digests as JSON; no store is opened."""
    from marin_build.operations.list_targets import list_here, write_listing

    if elsewhere:
        from marin_build.operations.check_placement import move_resources

        move_resources()

    # What a pipeline or a program it calls prints is not for whoever reads the listing.
    out = os.dup(1)
    os.dup2(2, 1)
    try:
        listing = list_here(options)
        sys.stdout.flush()
    finally:
        os.dup2(out, 1)
        os.close(out)
    write_listing(listing)
    return 0
