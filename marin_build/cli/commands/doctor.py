"""`marin-build doctor`: which engines and settings work on this machine."""

from __future__ import annotations

import os

import click

from marin_build.cli.terminal import echo
from marin_build.errors import EXIT_OK, EXIT_USAGE, UsageError


@click.command("doctor")
@click.option("--profile", metavar="NAME", help="A profile of the configuration.")
@click.option("--engine", metavar="NAME", help="Only this engine.")
@click.option("--deep", is_flag=True, help="Try the engine with a tiny job, and delete that again.")
def command(profile: str | None, engine: str | None, *, deep: bool) -> int:
    """Check the configuration of this folder, and every engine.

    For each engine it shows the package that offers it, and what it finds on this machine. If
    something does not work, the exit code is 4.

    With --deep the engine creates a tiny job, follows it, disturbs it and deletes it, so that an
    owner of a cluster sees that what jobs rely on holds there. Not every engine has such a trial.
    """
    from marin_build.operations.doctor import examine, try_engine
    from marin_build.text.readable import printable

    if deep and engine is None:
        raise UsageError("`--deep` tries one engine", hint="name it: --engine kubernetes")
    checkups = examine(os.getcwd(), profile, engine)
    for one in checkups:
        echo(f"{one.subject} ({printable(one.source)})")
        said = one.problem.render().splitlines() if one.problem is not None else one.lines
        for line in said:
            echo(f"  {printable(line)}".rstrip())
    if deep and engine is not None:
        for line in try_engine(os.getcwd(), engine, profile):
            echo(f"  {printable(line)}")
    return EXIT_USAGE if any(one.problem is not None for one in checkups) else EXIT_OK
