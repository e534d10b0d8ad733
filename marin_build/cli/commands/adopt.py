"""`marin-build adopt`: register existing data as the output of a target."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING

import click

from marin_build.cli.options import pipeline_options
from marin_build.cli.terminal import echo
from marin_build.cli.views.warnings import show_event

if TYPE_CHECKING:
    from marin_build.operations.loading.options import PipelineOptions


@click.command("adopt")
@click.argument("name")
@click.option("--from", "place", metavar="URL", help="Where the data lies [default: the output].")
@click.option("--reason", metavar="TEXT", help="The reason; the record keeps it.")
@click.option("--force", is_flag=True, help="Adopt damaged or unfinished data, or again.")
@click.option("--no-lease", is_flag=True, help="Take no lease: no other run may build there.")
@click.option("--json", "as_json", is_flag=True, help="One JSON document.")
@pipeline_options
def command(
    options: PipelineOptions,
    name: str,
    place: str | None,
    reason: str | None,
    *,
    force: bool,
    no_lease: bool,
    as_json: bool,
) -> int:
    """Register existing data as the output of a target that is not built.

    With --from the data stays where it is, and nothing is ever written or deleted there. Without,
    it lies at the target's output path already. NAME selects one target, as for `plan`.
    """
    from marin_build.cli.views.adopt_text import adopted_json, adopted_text
    from marin_build.operations.loading.loading import load
    from marin_build.operations.marks.adopt import adopt_target

    loaded = load(options, needed=[name])
    found = adopt_target(
        loaded, name, place, reason, force=force, lease=not no_lease, on_event=show_event
    )
    if as_json:
        sys.stdout.write(json.dumps(adopted_json(found), indent=1) + "\n")
    else:
        echo(adopted_text(found))
    return 0
