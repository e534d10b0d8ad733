"""`marin-build logs`: the output of an attempt at a target."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from marin_build.cli.options import pipeline_options_without_f

if TYPE_CHECKING:
    from marin_build.operations.loading.options import PipelineOptions


@click.command("logs")
@click.argument("target", required=False)
@click.option("-f", "--follow", is_flag=True, help="Go on until the attempt ends.")
@click.option(
    "--attempt",
    "number",
    type=click.IntRange(min=1),
    metavar="N",
    help="The Nth attempt instead of the newest.",
)
@click.option(
    "--rank",
    type=click.IntRange(min=0),
    default=0,
    metavar="K",
    help="Of a step on several hosts, rank K instead of rank 0.",
)
@click.option("-t", "--timestamps", is_flag=True, help="Show when each line was printed.")
@click.option("--list", "only_list", is_flag=True, help="Only list the attempts.")
@pipeline_options_without_f
def command(
    options: PipelineOptions,
    target: str | None,
    number: int | None,
    rank: int,
    *,
    follow: bool,
    timestamps: bool,
    only_list: bool,
) -> int:
    """Print the log of the newest attempt at a target.

    Without a target: of the newest failure that no run has mended, else of the newest attempt. If
    the pipeline does not load, or declares the target no more, records say where the log is.

    Standard error says which attempt it is, and how it ended. The log has the names of secret
    environment variables instead of their values, as `[HF_TOKEN]`. While an attempt on a
    remote output runs, its log lies on the machine where it runs, and nowhere else.
    """
    from marin_build.cli.views.found_text import show_notes
    from marin_build.cli.views.logs_text import (
        LogOutput,
        show_attempt,
        show_attempts,
        show_newest,
    )
    from marin_build.operations.loading.place import open_place
    from marin_build.operations.outputs.recall import load_or_recall, recall
    from marin_build.operations.runs.logs import copy_attempt_log, list_attempts
    from marin_build.operations.runs.newest_attempt import newest_attempt

    if target is None:
        newest = newest_attempt(open_place(options))
        show_newest(newest)
        recalled = recall(options, newest.target)
    else:
        recalled = load_or_recall(options, [target], only=target)
    show_notes(recalled.notes)
    loaded, (target,) = recalled.loaded, recalled.selectors
    if only_list:
        show_attempts(list_attempts(loaded, target))
        return 0
    out = LogOutput(timestamps=timestamps)
    seen = copy_attempt_log(
        loaded,
        target,
        number,
        rank=rank,
        follow=follow,
        write=out.write,
        on_attempt=show_attempt,
    )
    out.end(seen, follow=follow)
    return 0
