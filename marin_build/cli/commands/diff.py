"""`marin-build diff`: how the targets of two plans, runs or revisions differ."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING

import click

from marin_build.cli.options import pipeline_options
from marin_build.errors import EXIT_CHANGES_PENDING

if TYPE_CHECKING:
    from marin_build.operations.loading.options import PipelineOptions


@click.command("diff")
@click.argument("old", metavar="[A]", default="HEAD")
@click.argument("new", metavar="[B]", required=False)
@click.option("--json", "as_json", is_flag=True, help="One JSON document.")
@click.option("-v", "--verbose", is_flag=True, help="Show every target and every leaf.")
@click.option("--detailed-exitcode", is_flag=True, help="Exit 2 if there is a difference.")
@pipeline_options
def command(
    options: PipelineOptions,
    old: str,
    new: str | None,
    *,
    as_json: bool,
    verbose: bool,
    detailed_exitcode: bool,
) -> int:
    """Show which targets differ, and in which attribute, input, dependency or code.

    A and B are plan directories, runs (r-1a2b3c4d, or latest) or git revisions; without A, HEAD;
    without B, A is compared with the files as they are. A revision is loaded in a temporary git
    worktree. The store is read only for runs, and for expansions: whether what they wait for is
    built.
    """
    from marin_build.cli.views.diff_text import diff_document, show_diff
    from marin_build.cli.views.found_text import show_notes
    from marin_build.operations.saved_plans.diff import compare

    comparison = compare(old, new, options)
    show_notes([*comparison.notes, *(comparison.uses if verbose else ())])
    if as_json:
        json.dump(diff_document(comparison), sys.stdout, indent=1)
        sys.stdout.write("\n")
    else:
        show_diff(comparison, verbose=verbose)
    return EXIT_CHANGES_PENDING if detailed_exitcode and comparison.diff.differences else 0
