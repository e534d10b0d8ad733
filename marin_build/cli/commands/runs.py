"""`marin-build runs`: the runs that were kept under the prefix, or one of them."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING

import click

from marin_build.cli.options import pipeline_options

if TYPE_CHECKING:
    from marin_build.apply.run_summary import Outcome
    from marin_build.operations.loading.options import PipelineOptions


@click.command("runs")
@click.argument("run", required=False)
@click.option(
    "--limit",
    type=click.IntRange(min=1),
    default=20,
    metavar="N",
    help="How many runs are listed [default: 20].",
)
@click.option(
    "--outcome",
    "outcomes",
    multiple=True,
    type=click.Choice(
        (
            "built",
            "reused",
            "failed",
            "stopped",
            "interrupted",
            "running",
            "died",
            "unfinished",
        )
    ),
    help="Only runs that ended so; may be given several times.",
)
@click.option("--target", metavar="NAME", help="Only runs that tried to build it: a name or glob.")
@click.option(
    "--records",
    is_flag=True,
    help="Runs, too, of which only records of what they built are left; reads all records.",
)
@click.option("--json", "as_json", is_flag=True, help="One JSON document.")
@pipeline_options
def command(
    options: PipelineOptions,
    run: str | None,
    *,
    limit: int,
    outcomes: tuple[Outcome, ...],
    target: str | None,
    records: bool,
    as_json: bool,
) -> int:
    """List the runs that were kept under the prefix, by anyone on any machine, newest first.

    With RUN (r-1a2b3c4d, its first digits, or latest): that run, what became of its targets, where
    its journal lies, and how to go on. A run that builds nothing is not kept.

    The pipeline is not loaded. A run without an end is `running` if its process lives on this
    machine, or it holds a lease; `died` if that process is gone; else `unfinished`.
    """
    from marin_build.cli.views.runs_text import runs_json, show_one, show_runs, shown_run_json
    from marin_build.operations.runs.runs import list_runs, show_run

    if run is not None:
        shown = show_run(options, run)
        if as_json:
            sys.stdout.write(json.dumps(shown_run_json(shown), indent=1) + "\n")
        else:
            show_one(shown)
        return 0
    listed = list_runs(options, limit=limit, outcomes=outcomes, target=target, records=records)
    if as_json:
        sys.stdout.write(json.dumps(runs_json(listed), indent=1) + "\n")
    else:
        show_runs(listed)
    return 0
