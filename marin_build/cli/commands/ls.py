"""`marin-build ls`: what lies under the prefix."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING

import click

from marin_build.cli.options import pipeline_options

if TYPE_CHECKING:
    from marin_build.operations.loading.options import PipelineOptions
    from marin_build.operations.outputs.ls import SortKey


@click.command("ls")
@click.argument("patterns", metavar="[PATTERN]...", nargs=-1)
@click.option("--all", "show_all", is_flag=True, help="Older identities, too.")
@click.option(
    "--sort",
    type=click.Choice(("name", "size", "used")),
    default="name",
    help="By name; the largest first; or what was not used for longest first [default: name].",
)
@click.option("--json", "as_json", is_flag=True, help="One JSON document.")
@pipeline_options
def command(
    options: PipelineOptions,
    patterns: tuple[str, ...],
    *,
    show_all: bool,
    sort: SortKey,
    as_json: bool,
) -> int:
    """List what lies under the prefix: outputs of any pipeline, and what is not ours.

    `status` shows what the pipeline declares, built or not; `ls` shows what is there. PATTERN is a
    name, a target's id, a group (`data` for data/clean), or a glob over names and ids.

    Of each name it shows the identities that the pipeline declares, else the newest; with --all
    every one. If the pipeline does not load, `ls` says so, and goes by what lies there alone. An
    output was last used when the newest build ended whose record names it as an input.
    """
    from marin_build.cli.views.found_text import show_notes
    from marin_build.cli.views.ls_text import listed_json, show_listed
    from marin_build.operations.outputs.ls import list_outputs

    listed = list_outputs(options, patterns, show_all=show_all, sort=sort)
    show_notes(listed.stored.notes)
    if as_json:
        sys.stdout.write(json.dumps(listed_json(listed), indent=1) + "\n")
    else:
        show_listed(listed)
    return 0
