"""`marin-build lint`: what is legal in a pipeline, and probably a mistake."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING

import click

from marin_build.cli.options import pipeline_options
from marin_build.errors import EXIT_OK, EXIT_TARGET_FAILED

if TYPE_CHECKING:
    from marin_build.operations.loading.options import PipelineOptions


@click.command("lint")
@click.argument("targets", nargs=-1)
@click.option(
    "--ignore", metavar="KIND", multiple=True, help="Leave out findings of this kind (repeatable)."
)
@click.option("--json", "as_json", is_flag=True, help="One JSON document.")
@click.option("--annotate", is_flag=True, help="Also print annotations for GitHub.")
@pipeline_options
def command(
    options: PipelineOptions,
    targets: tuple[str, ...],
    ignore: tuple[str, ...],
    *,
    as_json: bool,
    annotate: bool,
) -> int:
    """Check a pipeline for what is legal and probably a mistake.

    TARGET is as for `plan`, by names and tags; without one, all steps are checked. Nothing is run,
    and neither outputs nor inputs are read: the pipeline is loaded twice, and each configured
    engine says what it would refuse, or only the one of --engine; no cluster is asked. The exit
    code is 1 if there are findings.
    """
    from marin_build.cli.terminal import echo
    from marin_build.cli.views.lint_text import lint_annotations, lint_json, show_lint
    from marin_build.operations.checks.lint import lint

    linted = lint(options, targets, ignore)
    if as_json:
        sys.stdout.write(json.dumps(lint_json(linted), indent=1) + "\n")
    else:
        show_lint(linted)
    for line in lint_annotations(linted) if annotate else ():
        echo(line, err=True)
    return EXIT_TARGET_FAILED if linted.findings else EXIT_OK
