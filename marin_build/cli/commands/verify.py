"""`marin-build verify`: whether an output still has the files that were committed."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING

import click

from marin_build.cli.options import pipeline_options
from marin_build.errors import EXIT_OK, EXIT_TARGET_FAILED, UsageError

if TYPE_CHECKING:
    from marin_build.operations.loading.options import PipelineOptions


@click.command("verify")
@click.argument("targets", nargs=-1, metavar="TARGET...")
@click.option(
    "--statement",
    metavar="FILE",
    help="Compare the output that a statement of `provenance` is about.",
)
@click.option("--content", is_flag=True, help="Compare contents, too, where digests are known.")
@click.option("--json", "as_json", is_flag=True, help="One JSON document.")
@pipeline_options
def command(
    options: PipelineOptions,
    targets: tuple[str, ...],
    statement: str | None,
    *,
    content: bool,
    as_json: bool,
) -> int:
    """Compare outputs with what was committed: missing files, other sizes, added files.

    TARGET is as for `plan`. The command compares names and sizes, and finds adopted data where it
    lies. With --content it also compares what a step returned, and the contents of files whose
    digests were recorded (`digests = true`). With --statement, which takes no TARGET, it reads all
    files and compares them with what the statement says; the pipeline is not loaded. The exit code
    is 0 if each output was compared and has not changed, else 1.
    """
    if bool(targets) == (statement is not None):
        raise UsageError(
            "`verify` takes targets, or --statement and none",
            hint="marin-build verify TARGET",
        )
    if statement is not None:
        from marin_build.cli.views.verify_text import show_statement_verdict, statement_verdict_json
        from marin_build.operations.outputs.verify_statement import verify_statement

        verdict = verify_statement(options, statement)
        if as_json:
            sys.stdout.write(json.dumps(statement_verdict_json(verdict), indent=1) + "\n")
        else:
            show_statement_verdict(verdict)
        return EXIT_TARGET_FAILED if verdict.differences else EXIT_OK
    from marin_build.cli.views.verify_text import show_verified, verified_json
    from marin_build.operations.loading.kept_analysis import load_to_read
    from marin_build.operations.outputs.verify import verify_targets

    found = verify_targets(load_to_read(options, needed=targets), targets, content=content)
    if as_json:
        sys.stdout.write(json.dumps(verified_json(found), indent=1) + "\n")
    else:
        show_verified(found)
    return EXIT_OK if found.is_intact else EXIT_TARGET_FAILED
