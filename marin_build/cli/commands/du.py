"""`marin-build du`: what fills the prefix."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING

import click

from marin_build.cli.options import pipeline_options

if TYPE_CHECKING:
    from marin_build.operations.loading.options import PipelineOptions


@click.command("du")
@click.argument("groups", metavar="[GROUP]...", nargs=-1)
@click.option(
    "--depth",
    type=click.IntRange(min=0),
    default=1,
    metavar="N",
    help="Group by so many segments of the names, below GROUP [default: 1].",
)
@click.option("--json", "as_json", is_flag=True, help="One JSON document.")
@pipeline_options
def command(options: PipelineOptions, groups: tuple[str, ...], *, depth: int, as_json: bool) -> int:
    """Show what fills the prefix, by groups of names, and what a bucket costs a month.

    GROUP is the first segments of names, `data` or `data/web`; without one: all outputs, and what
    is not ours. Sizes are those that records of builds say; only what has none is listed. `ls`
    shows single outputs.
    """
    from marin_build.cli.views.du_text import show_usage, usage_json
    from marin_build.cli.views.found_text import show_notes
    from marin_build.operations.outputs.du import disk_usage

    usage = disk_usage(options, groups, depth=depth)
    show_notes(usage.stored.notes)
    if as_json:
        sys.stdout.write(json.dumps(usage_json(usage), indent=1) + "\n")
    else:
        show_usage(usage)
    return 0
