"""`marin-build verify`: whether an output is still what was built."""

from __future__ import annotations

import json
import sys

import click

from marin_build.cli.options import PipelineOptions, pipeline_options
from marin_build.errors import EXIT_OK, EXIT_TARGET_FAILED


@click.command("verify")
@click.argument("targets", nargs=-1, required=True, metavar="TARGET...")
@click.option("--json", "as_json", is_flag=True, help="One JSON document.")
@pipeline_options
def command(options: PipelineOptions, targets: tuple[str, ...], *, as_json: bool) -> int:
    """Compare outputs with what was committed: missing files, other sizes, files that were added.

    TARGET is as for `plan`. Names and sizes are compared, not contents. Adopted data is looked at
    where it lies. The exit code is 0 if each output was compared and is what was built, else 1.
    """
    from marin_build.cli.choosing import choose
    from marin_build.cli.loading import load
    from marin_build.cli.standings import read_all
    from marin_build.cli.views.verify_text import show_verified, verified_json
    from marin_build.run_step.verifying import Verdict, verify
    from marin_build.store.opening import open_store

    loaded = load(options)
    chosen = choose(loaded, targets)
    snapshot = read_all(loaded, chosen, records=True)
    found = verify(loaded.store, loaded.targets, snapshot, chosen, open_store)
    if as_json:
        sys.stdout.write(json.dumps(verified_json(loaded.targets, found), indent=1) + "\n")
    else:
        show_verified(loaded.targets, found)
    intact = all(each.verdict is Verdict.INTACT for each in found)
    return EXIT_OK if intact else EXIT_TARGET_FAILED
