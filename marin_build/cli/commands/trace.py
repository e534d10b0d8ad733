"""`marin-build trace`: the time line of a run, for a viewer of traces."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from marin_build.cli.options import pipeline_options
from marin_build.cli.terminal import echo
from marin_build.errors import EXIT_OK

if TYPE_CHECKING:
    from marin_build.operations.building.trace import TraceFormat
    from marin_build.operations.loading.options import PipelineOptions


@click.command("trace")
@click.argument("run", metavar="RUN")
@click.option(
    "-o",
    "--output",
    metavar="FILE",
    type=click.Path(dir_okay=False),
    help="Write it to a file instead of standard output.",
)
@click.option(
    "--format",
    "form",
    type=click.Choice(["chrome", "openlineage"]),
    default="chrome",
    show_default=True,
    help="What reads it.",
)
@pipeline_options
def command(options: PipelineOptions, run: str, output: str | None, form: TraceFormat) -> int:
    """Write a trace of a run: when each step ran, in which slot, and the critical path.

    RUN is a run (r-1a2b3c4d, or latest); the trace of a run that died ends there. The trace is in
    Chrome's trace event format: open it at https://ui.perfetto.dev or in chrome://tracing. It comes
    from the journal that the run keeps under the prefix; the pipeline is not loaded.

    With --format openlineage it is an event of OpenLineage a line, for a catalogue of data: which
    step made what from what.
    """
    from marin_build.operations.building.trace import trace_kept_run, write_trace

    text = trace_kept_run(run, options, form)
    if output is None:
        echo(text, nl=False)
    else:
        write_trace(text, output)
    return EXIT_OK
