"""`marin-build metrics`: the numbers that steps returned, and the settings that led to them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from marin_build.cli.options import pipeline_options
from marin_build.errors import UsageError

if TYPE_CHECKING:
    from marin_build.cli.views.metrics_cells import Form
    from marin_build.operations.loading.options import PipelineOptions


@click.command("metrics")
@click.argument("targets", nargs=-1)
@click.option(
    "--sort",
    "sort",
    metavar="COLUMN",
    multiple=True,
    help="The smallest value first, with - before COLUMN the largest; may be given several times.",
)
@click.option(
    "--columns",
    metavar="NAMES",
    multiple=True,
    help="Show these only, globs with commas between; also attributes that do not differ.",
)
@click.option("--all", "every_identity", is_flag=True, help="All builds of the targets' names.")
@click.option(
    "--run", "runs", metavar="RUN", multiple=True, help="The targets of a run: r-1a2b3c4d, latest."
)
@click.option(
    "--diff",
    metavar="OLD[..NEW]",
    help="What changed since a git revision, a run or a plan directory; A...B: since both parted.",
)
@click.option("--json", "as_json", is_flag=True, help="One JSON document, numbers exact.")
@click.option("--csv", "as_csv", is_flag=True, help="Comma-separated values, numbers exact.")
@click.option("--markdown", "as_markdown", is_flag=True, help="A table for GitHub.")
@pipeline_options
def command(
    options: PipelineOptions,
    targets: tuple[str, ...],
    *,
    sort: tuple[str, ...],
    columns: tuple[str, ...],
    every_identity: bool,
    runs: tuple[str, ...],
    diff: str | None,
    as_json: bool,
    as_csv: bool,
    as_markdown: bool,
) -> int:
    """Show the numbers that steps returned, beside the attributes in which the targets differ.

    TARGET is as for `path`; without one: the requested targets that returned numbers. An attribute
    of a step that a target was made from is shown too, as `train.rate`. If the pipeline does not
    load, the records of builds answer.
    """
    from marin_build.cli.views.found_text import show_notes

    form = _form(json=as_json, csv=as_csv, markdown=as_markdown)
    chosen = tuple(name for names in columns for name in names.split(",") if name)
    if diff is not None:
        if sort or every_identity or runs:
            raise UsageError(
                "`--diff` compares two versions: `--sort`, `--all` and `--run` have no place there"
            )
        from marin_build.cli.views.metrics_diff_forms import show_diff
        from marin_build.operations.metrics.metrics_diff import diff_metrics

        changed = diff_metrics(options, diff, targets, chosen)
        show_notes(changed.notes)
        show_diff(changed, form)
        return 0
    if every_identity and runs:
        raise UsageError("`--all` shows all builds, `--run` those of a run: give one of them")
    from marin_build.cli.views.metrics_forms import show_table
    from marin_build.operations.metrics.metrics import MetricsRequest, read_metrics_table

    request = MetricsRequest(targets, every_identity, runs, chosen, sort)
    found = read_metrics_table(options, request)
    show_notes(found.notes)
    show_table(found, request, form)
    return 0


def _form(**asked: bool) -> Form:
    """Return the form that was asked for; more than one is an error."""
    forms: tuple[Form, ...] = ("json", "csv", "markdown")
    given = [form for form in forms if asked[form]]
    if len(given) > 1:
        raise UsageError(f"`--{given[0]}` and `--{given[1]}` are two forms: give one of them")
    return given[0] if given else "text"
