"""`marin-build ci`: workflows of CI systems, and what their jobs ask."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING

import click

from marin_build.cli.options import pipeline_options
from marin_build.cli.terminal import echo
from marin_build.errors import EXIT_OK

if TYPE_CHECKING:
    from marin_build.operations.options import PipelineOptions


@click.group("ci")
def command() -> None:
    """Build in continuous integration."""


@command.command("affected")
@click.option(
    "--base",
    metavar="REV",
    required=True,
    help="What the change is compared with: the newest commit that REV and HEAD both come from. "
    "`main...HEAD` says the same.",
)
@click.option("--no-fetch", is_flag=True, help="Never fetch commits that a shallow clone lacks.")
@click.option("--json", "as_json", is_flag=True, help="One JSON document.")
@pipeline_options
def affected(options: PipelineOptions, base: str, *, no_fetch: bool, as_json: bool) -> int:
    """Print the targets that a change reaches, one a line, dependencies first.

    It compares identities and code digests, contents of inputs included, and not names of files: a
    new comment reaches nothing, and a helper that is imported reaches what calls it. What needs a
    reached target is reached, too. No store is opened.
    """
    from marin_build.operations.affected import affected_targets
    from marin_build.text.readable import printable

    found = affected_targets(options, base, fetches=not no_fetch)
    for note in found.notes:
        echo(f"note: {note}", err=True)
    if as_json:
        document = {
            "schema_version": 1,
            "base": found.base,
            "targets": [
                {"name": t.name, "target": t.target, "declared": t.declared, "why": t.why}
                for t in found.targets
            ],
            "vanished": list(found.vanished),
            "same": found.same,
        }
        sys.stdout.write(json.dumps(document, indent=1) + "\n")
        return EXIT_OK
    for target in found.targets:
        echo(printable(target.target))
    vanished = f", {len(found.vanished)} vanished" if found.vanished else ""
    echo(
        f"{len(found.targets)} of {len(found.targets) + found.same} targets differ from "
        f"{found.base[:12]}{vanished}",
        err=True,
    )
    return EXIT_OK
