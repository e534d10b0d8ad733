"""`marin-build provenance`: what made an output and from what, for other tools."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING

import click

from marin_build.cli.options import pipeline_options

if TYPE_CHECKING:
    from marin_build.operations.loading.options import PipelineOptions


@click.command("provenance")
@click.argument("target")
@click.option("-o", "--output", metavar="FILE", help="Write it there instead of printing it.")
@pipeline_options
def command(options: PipelineOptions, target: str, output: str | None) -> int:
    """State what made an output and from what, down to the sources: in-toto and SLSA.

    TARGET is as for `show`; the pipeline is loaded only if TARGET names no identity. The statement
    has digests of the files, the step with its attributes, the commit of the code, the environment,
    and all outputs and sources that it was made from. `marin-build verify --statement FILE`
    compares an output with it.
    """
    from marin_build.cli.output_file import write_output_file
    from marin_build.cli.terminal import echo
    from marin_build.cli.views.found_text import show_notes
    from marin_build.operations.outputs.provenance import state_provenance
    from marin_build.workspace.places import refuse_url

    if output is not None:
        refuse_url(output, "a statement", "-o statement.json")
    stated = state_provenance(options, target)
    show_notes((*stated.found.notes, *stated.notes))
    if output is None:
        sys.stdout.write(json.dumps(stated.statement, indent=1) + "\n")
        return 0
    write_output_file(output, json.dumps(stated.statement, indent=1) + "\n")
    echo(f"written: {output}")
    return 0
