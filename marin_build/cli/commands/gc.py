"""`marin-build gc`: delete outputs that nothing needs."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import click

from marin_build.cli.options import parse_pairs, pipeline_options
from marin_build.errors import EXIT_OK, EXIT_TARGET_FAILED, UsageError
from marin_build.text.readable import shortened

if TYPE_CHECKING:
    from marin_build.operations.loading.options import PipelineOptions


_AGE = re.compile(r"(\d+(?:\.\d+)?)(s|min|h|d)|0")
_SECONDS = {"s": 1.0, "min": 60.0, "h": 3600.0, "d": 86400.0}


@click.command("gc")
@click.argument("targets", nargs=-1, metavar="[TARGET]...")
@click.option("--apply", "is_applied", is_flag=True, help="Do it; without, only say what.")
@click.option("-n", "--dry-run", is_flag=True, help="Only say what: so it is without --apply.")
@click.option("--list", "reviewed", metavar="DIGITS", help="With --apply: only this list.")
@click.option("--undo", is_flag=True, help="Take the tombstones away, of all or of TARGETs.")
@click.option(
    "--keep-rev", "revisions", metavar="REV", multiple=True, help="Keep what it declares there."
)
@click.option(
    "--keep-file", "files", metavar="FILE", multiple=True, help="Keep what this pipeline declares."
)
@click.option(
    "--keep-set",
    "sets",
    metavar="KEY=VALUE[,...]",
    multiple=True,
    help="Keep what it declares with these parameters, too.",
)
@click.option(
    "--keep-last",
    "newest",
    metavar="N",
    type=click.IntRange(min=0),
    default=2,
    show_default=True,
    help="Keep the newest builds of each name.",
)
@click.option(
    "--grace",
    metavar="AGE",
    default="7d",
    show_default=True,
    help="Delete what was marked so long ago: 12h, 7d, or 0.",
)
@click.option("--unknown", is_flag=True, help="Take names that no given pipeline declares, too.")
@click.option("--json", "as_json", is_flag=True, help="One JSON document.")
@click.option("-v", "--verbose", is_flag=True, help="Show every output, with what keeps it.")
@pipeline_options
def command(
    options: PipelineOptions,
    targets: tuple[str, ...],
    *,
    is_applied: bool,
    dry_run: bool,
    reviewed: str | None,
    undo: bool,
    revisions: tuple[str, ...],
    files: tuple[str, ...],
    sets: tuple[str, ...],
    newest: int,
    grace: str,
    unknown: bool,
    as_json: bool,
    verbose: bool,
) -> int:
    """Show which outputs nothing needs any more; with --apply, mark them, and later delete them.

    Needed is what the pipeline declares, here and in all that a --keep option names; what a run
    uses, what was adopted, what says keep=True, the newest builds of each name; and all that these
    were made from. --apply puts a tombstone on what is left; a run that uses such an output takes
    the tombstone away. A later --apply deletes what has had its tombstone for the time of grace.
    """
    if dry_run and (is_applied or undo):
        raise UsageError(
            f"`--dry-run` and `--{'undo' if undo else 'apply'}` contradict each other",
            consequence="nothing was deleted",
        )
    if undo:
        return _undo(options, targets, is_applied=is_applied, as_json=as_json)
    _check(targets, is_applied=is_applied, reviewed=reviewed)
    from marin_build.cli.views.gc_text import GcView
    from marin_build.operations.clean_up.carry_out_gc import apply_gc
    from marin_build.operations.clean_up.gc import GcRequest, plan_gc
    from marin_build.operations.clean_up.gc_needs import Kept, pairs_text
    from marin_build.operations.loading.loading import load
    from marin_build.operations.loading.options import command_line, words_of

    parameters = tuple(parse_pairs(tuple(each.split(","))) for each in sets)
    request = GcRequest(Kept(revisions, files, parameters, newest), _seconds(grace), unknown)
    loaded = load(options)
    words = words_of(
        *(("--keep-rev", revision) for revision in revisions),
        *(("--keep-file", file) for file in files),
        *(("--keep-set", pairs_text(each)) for each in parameters),
        *([("--keep-last", newest)] if newest != 2 else []),  # noqa: PLR2004 - the default above
        *([("--grace", grace)] if grace != "7d" else []),
        ("--unknown", unknown),
    )
    view = GcView(
        loaded,
        lambda more: command_line("gc", options, [*words, *more]),
        as_json=as_json,
        verbose=verbose,
    )
    if not is_applied:
        view.plan(plan_gc(loaded, options, request))
        return EXIT_OK
    view.finish(apply_gc(loaded, options, request, view.done, reviewed=reviewed))
    return EXIT_TARGET_FAILED if view.failures else EXIT_OK


def _check(targets: tuple[str, ...], *, is_applied: bool, reviewed: str | None) -> None:
    if targets:
        raise UsageError(
            f"`gc` judges all outputs under the prefix: `{shortened(targets[0])}` has no meaning",
            consequence="nothing was marked or deleted",
            hint="TARGETs are for --undo; keep=True keeps a step's outputs",
        )
    if reviewed is not None and not is_applied:
        raise UsageError(
            "`--list` is for `--apply`",
            consequence="nothing was marked or deleted",
            hint=f"marin-build gc --apply --list {shortened(reviewed)}",
        )


def _undo(
    options: PipelineOptions, targets: tuple[str, ...], *, is_applied: bool, as_json: bool
) -> int:
    if is_applied:
        raise UsageError(
            "`--undo` and `--apply` contradict each other", consequence="nothing was changed"
        )
    from marin_build.cli.views.gc_text import show_undone
    from marin_build.operations.clean_up.carry_out_gc import undo_gc
    from marin_build.operations.loading.loading import current_host
    from marin_build.operations.loading.place import open_place

    show_undone(undo_gc(open_place(options), current_host(), targets), as_json=as_json)
    return EXIT_OK


def _seconds(age: str) -> float:
    """Return a time of grace in seconds.

    Raises:
        UsageError: it is not a number with a unit.

    """
    found = _AGE.fullmatch(age)
    if found is None:
        raise UsageError(
            f"`--grace {shortened(age)}` is no time",
            consequence="nothing was marked or deleted",
            hint="say it with a unit: 30min, 12h, 7d; or 0",
        )
    return float(found[1]) * _SECONDS[found[2]] if found[2] else 0.0
