"""`marin-build doctor`: which engines and settings work on this machine."""

from __future__ import annotations

import os

import click

from marin_build.cli.terminal import echo
from marin_build.errors import EXIT_OK, EXIT_USAGE


@click.command("doctor")
@click.option("--profile", metavar="NAME", help="A profile of the configuration.")
def command(profile: str | None) -> int:
    """Check the configuration of this folder, and every engine.

    For each engine it shows the package that offers it, and what it finds on this machine. If
    something does not work, the exit code is 4.
    """
    from marin_build.operations.doctor import examine
    from marin_build.text.readable import printable

    checkups = examine(os.getcwd(), profile)
    for one in checkups:
        echo(f"{one.subject} ({printable(one.source)})")
        said = one.problem.render().splitlines() if one.problem is not None else one.lines
        for line in said:
            echo(f"  {printable(line)}".rstrip())
    return EXIT_USAGE if any(one.problem is not None for one in checkups) else EXIT_OK
