"""`marin-build explain`: why one target is built, or is not."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING

import click

from marin_build.cli.options import pipeline_options
from marin_build.cli.terminal import echo

if TYPE_CHECKING:
    from marin_build.operations.loading.options import PipelineOptions


@click.command("explain")
@click.argument("target")
@click.option("--code", "show_source", is_flag=True, help="Show how its code changed.")
@click.option("--json", "as_json", is_flag=True, help="One JSON document.")
@pipeline_options
def command(options: PipelineOptions, target: str, *, show_source: bool, as_json: bool) -> int:
    """Show all that is known about why a target is built, or is not.

    If it was built with another identity, the command lists every leaf that differs, and the
    earlier build it compared. `--code` compares today's code with the code of that build, or of the
    reused output: normalised source, captured values, environment, and code that it cannot follow.

    If the pipeline does not load, or declares the target no more, its record tells what made it,
    and what differs from the build before it.
    """
    from marin_build.operations.outputs.recall import load_or_recall
    from marin_build.operations.planning.explain import explain

    recalled = load_or_recall(options, [target], only=target)
    if not recalled.is_declared:
        from marin_build.operations.outputs.explain_record import explain_record

        recorded = explain_record(recalled)
        echo(json.dumps(recorded.json_values(), indent=1) if as_json else str(recorded))
        return 0
    explained = explain(recalled.loaded, target, compare_code=show_source)
    if as_json:
        sys.stdout.write(json.dumps(explained.json_values(), indent=1) + "\n")
        return 0
    echo(str(explained))
    if explained.code is not None:
        from marin_build.cli.views.explain_text import show_code

        show_code(explained.code.drift, explained.code.unseen)
    if explained.drift:
        from marin_build.operations.planning.drifted import selector_of, ways_out_of

        which = selector_of(explained.drift)
        found = explained.drift.values()
        for label, way in ways_out_of(found, options, [explained.target], which=which):
            echo(f"{label}: {way}")
    return 0
