"""`marin-build verify`: whether an output still has the files that were committed."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING

import click

from marin_build.cli.options import pipeline_options
from marin_build.errors import EXIT_OK, EXIT_TARGET_FAILED

if TYPE_CHECKING:
    from marin_build.operations.options import PipelineOptions


@click.command("verify")
@click.argument("targets", nargs=-1, required=True, metavar="TARGET...")
@click.option("--content", is_flag=True, help="Compare contents, too, where digests are known.")
@click.option("--json", "as_json", is_flag=True, help="One JSON document.")
@pipeline_options
def command(
    options: PipelineOptions, targets: tuple[str, ...], *, content: bool, as_json: bool
) -> int:
    """Compare outputs with what was committed: missing files, other sizes, added files.

    TARGET is as for `plan`. The command compares names and sizes, and finds adopted data where it
    lies. With --content it also compares what a step returned, and the contents of files whose
    digests were recorded (`digests = true`). The exit code is 0 if each output was compared and has
    not changed, else 1.
    """
    from marin_build.cli.views.verify_text import show_verified, verified_json
    from marin_build.operations.loading import load
    from marin_build.operations.verify import verify_targets

    found = verify_targets(load(options, needed=targets), targets, content=content)
    if as_json:
        sys.stdout.write(json.dumps(verified_json(found), indent=1) + "\n")
    else:
        show_verified(found)
    return EXIT_OK if found.is_intact else EXIT_TARGET_FAILED
