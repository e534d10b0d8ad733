"""`marin-build commit`: commit the output of a step that did its work and was not committed."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING

import click

from marin_build.cli.options import pipeline_options
from marin_build.cli.terminal import echo
from marin_build.cli.views.warnings import show_event
from marin_build.errors import UsageError

if TYPE_CHECKING:
    from typing import BinaryIO

    from marin_build.operations.loading.options import PipelineOptions


@click.command("commit")
@click.argument("target")
@click.option(
    "--artifact",
    metavar="FILE",
    type=click.File("rb"),
    help="What the step returned, as JSON; - reads standard input.",
)
@click.option("--no-artifact", is_flag=True, help="Commit it as if the step returned nothing.")
@click.option("--json", "as_json", is_flag=True, help="One JSON document.")
@pipeline_options
def command(
    options: PipelineOptions,
    target: str,
    artifact: BinaryIO | None,
    *,
    no_artifact: bool,
    as_json: bool,
) -> int:
    """Commit the kept output of a step, without building it again.

    A step that did all its work fails if the store does not take its output, or if what it returned
    cannot be saved; its output is kept. In the second case, give what it returned as JSON.
    """
    from marin_build.cli.views.commit_text import committed_json, committed_text
    from marin_build.operations.loading.loading import load
    from marin_build.operations.marks.commit import LARGEST_ARTIFACT, commit_target

    if artifact is not None and no_artifact:
        raise UsageError(
            "`commit` takes one of --artifact FILE and --no-artifact, not both",
            consequence="nothing was written",
        )
    data = artifact.read(LARGEST_ARTIFACT + 1) if artifact is not None else None
    if data is not None and len(data) > LARGEST_ARTIFACT:
        raise UsageError(
            f"an artifact has at most {LARGEST_ARTIFACT >> 20} MiB",
            consequence="nothing was written",
            hint="let the step write a file instead",
        )
    done = commit_target(
        load(options), target, data, returned_nothing=no_artifact, on_event=show_event
    )
    if as_json:
        sys.stdout.write(json.dumps(committed_json(done), indent=1) + "\n")
    else:
        echo(committed_text(done))
    return 0
