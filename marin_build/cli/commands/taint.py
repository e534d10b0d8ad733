"""`marin-build taint`: mark bad outputs, so that they are built again."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from marin_build.cli.options import pipeline_options
from marin_build.operations.loading.options import PipelineOptions, command_line

if TYPE_CHECKING:
    from marin_build.operations.marks.taint import TaintedTargets


@click.command("taint")
@click.argument("targets", nargs=-1, required=True)
@click.option("--reason", metavar="TEXT", help="Why it is bad; plans show it.")
@click.option("--undo", is_flag=True, help="Remove the marks.")
@click.option("--dry-run", is_flag=True, help="Only list the targets that would be built again.")
@pipeline_options
def command(
    options: PipelineOptions,
    targets: tuple[str, ...],
    reason: str | None,
    *,
    undo: bool,
    dry_run: bool,
) -> int:
    """Mark built targets, and all built ones that were made from them, as bad.

    The command first lists the targets that will be built again. It deletes and runs nothing. The
    next apply that is asked for a marked target builds it. A mark ends with that build.
    """
    from marin_build.cli.views import taint_text as view
    from marin_build.operations.loading.loading import load
    from marin_build.operations.marks.taint import taint_targets, untaint_targets

    loaded = load(options)
    if undo:
        untainted = untaint_targets(loaded, targets, dry_run=dry_run)
        (view.show_marks if dry_run else view.show_untainted)(untainted)
        return 0

    def show_found(found: TaintedTargets) -> None:
        view.show_targets_to_taint(found, command_line("apply", options, found.ends))

    if dry_run:
        reason = reason or "..."
    found = taint_targets(loaded, targets, reason or "", dry_run=dry_run, on_found=show_found)
    if not dry_run:
        view.show_tainted(found)
    return 0
