"""`marin-build report`: one page about a pipeline and its results, to send to colleagues."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from marin_build.cli.options import pipeline_options
from marin_build.cli.terminal import echo
from marin_build.errors import EXIT_OK
from marin_build.text.readable import bytes_text, printable
from marin_build.workspace.places import refuse_url

if TYPE_CHECKING:
    from marin_build.operations.loading.options import PipelineOptions

_MOST_NAMED = 5


@click.command("report")
@click.argument("targets", nargs=-1)
@click.option(
    "-o",
    "--output",
    metavar="FILE",
    default="report.html",
    show_default=True,
    type=click.Path(dir_okay=False),
    help="Where to write it.",
)
@pipeline_options
def command(options: PipelineOptions, targets: tuple[str, ...], output: str) -> int:
    """Write a page about targets: results with pictures and tables, metrics, plan, graph, origin.

    TARGET is as for `plan`; what the chosen targets need is on the page, too. The page is one file
    that any browser opens, without a network. Targets that are not built are on it as such. A file
    that is no report is only overwritten if `-o` names it.
    """
    from marin_build.operations.loading.kept_analysis import load_to_read
    from marin_build.operations.pages.report import report_on
    from marin_build.operations.pages.report_file import refuse_to_replace, write_report

    refuse_url(output, "a report", "-o report.html")
    source = click.get_current_context().get_parameter_source("output")
    if source is click.core.ParameterSource.DEFAULT:
        refuse_to_replace(output)
    report = report_on(load_to_read(options, needed=targets), targets, options)
    write_report(output, report.text)
    for left_out in report.left_out[:_MOST_NAMED]:
        echo(f"note: only named: {printable(left_out)}", err=True)
    if (more := len(report.left_out) - _MOST_NAMED) > 0:
        echo(f"note: {more} more files are only named", err=True)
    count = f"{report.targets} target{'' if report.targets == 1 else 's'}"
    echo(f"written: {output} ({count}, {bytes_text(len(report.text.encode()))})", err=True)
    return EXIT_OK
