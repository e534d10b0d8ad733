"""`marin-build show`: one output, what made it, and what is in it."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING

import click

from marin_build.cli.options import pipeline_options

if TYPE_CHECKING:
    from marin_build.operations.loading.options import PipelineOptions


@click.command("show")
@click.argument("target")
@click.option("--json", "as_json", is_flag=True, help="One JSON document.")
@pipeline_options
def command(options: PipelineOptions, target: str, *, as_json: bool) -> int:
    """Show an output: what made it and from what, what it returned, its files and what they hold.

    TARGET is a selector of one target, or names one identity, as for `path`; then the pipeline is
    not loaded. Texts and tables are shown from their beginning; pictures and pages are named.
    """
    from marin_build.cli.views.found_text import show_notes
    from marin_build.cli.views.show_text import show_shown, shown_json
    from marin_build.operations.outputs.show import show_output

    shown = show_output(options, target)
    show_notes(shown.found.notes)
    if as_json:
        sys.stdout.write(json.dumps(shown_json(shown), indent=1) + "\n")
    else:
        show_shown(shown)
    return 0
