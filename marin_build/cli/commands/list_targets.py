"""`marin-build list-targets`: a pipeline's targets, for another process of ours (hidden)."""

from __future__ import annotations

import os
import sys
from dataclasses import replace
from typing import TYPE_CHECKING

import click

from marin_build.cli.options import pipeline_options
from marin_build.errors import EXIT_OK

if TYPE_CHECKING:
    from marin_build.operations.loading.options import PipelineOptions


@click.command("list-targets", hidden=True)
@click.option("--elsewhere", is_flag=True, help="As if on other machines, in another region.")
@click.option(
    "--unbuilt",
    metavar="ID",
    multiple=True,
    help="Call no expansion that needs this target; `*`: none at all, and open no store.",
)
@click.option("--without-inputs", is_flag=True, help="Do not read what sources hold.")
@click.option(
    "--observe-for",
    metavar="PROJECT",
    help="Say what the load looks at, too, for the analyses of a project.",
)
@click.option("--checkout", metavar="DIR", help="With --observe-for: a commit is checked out here.")
@pipeline_options
def command(
    options: PipelineOptions,
    unbuilt: tuple[str, ...],
    observe_for: str | None,
    checkout: str | None,
    *,
    elsewhere: bool,
    without_inputs: bool,
) -> int:
    """Write all targets with payloads and code digests as JSON."""
    from marin_build.operations.loading.list_targets import list_here, listing_line
    from marin_build.pipeline.user_output import to_standard_error

    with to_standard_error():  # what a pipeline prints is no part of the listing
        options = replace(options, unbuilt=unbuilt)
        if observe_for is not None:
            from marin_build.operations.loading.observed_listing import observed_listing_lines

            lines = observed_listing_lines(options, observe_for, checkout)
        else:
            listing = list_here(options, elsewhere=elsewhere, with_inputs=not without_inputs)
            lines = listing_line(listing)
    sys.stdout.write(lines)
    sys.stdout.flush()
    # The threads of a pipeline may print while Python ends, which ends it with a fatal error.
    os._exit(EXIT_OK)
