"""`marin-build doctor`: whether what a build relies on works here."""

from __future__ import annotations

import json
import os
import sys

import click

from marin_build.cli.terminal import echo
from marin_build.errors import EXIT_OK, EXIT_USAGE, UsageError


@click.command("doctor")
@click.option("--profile", metavar="NAME", help="A profile of the configuration.")
@click.option("--prefix", metavar="URL", help="Where outputs live, a folder or a URL.")
@click.option("--engine", metavar="NAME", help="Only this engine.")
@click.option("--deep", is_flag=True, help="Try the engine with a tiny job, and delete that again.")
@click.option("--json", "as_json", is_flag=True, help="One JSON document.")
def command(
    profile: str | None, prefix: str | None, engine: str | None, *, deep: bool, as_json: bool
) -> int:
    """Check what a build relies on: configuration, machine, store and engines.

    In the store it really tries the conditional writes that leases are made of, with one object
    that it deletes again, and so the credentials. Each check is ok, note, warn or fail, and the
    last two have a remedy. If a check fails, the exit code is 4.

    An engine that gives no answer fails if the setting `engine` or --engine names it. It is a
    warning if the configuration has a table of it, and else a note.

    With --deep the engine creates a tiny job, follows it, disturbs it and deletes it, so that an
    owner of a cluster sees that what jobs rely on holds there. Not every engine has such a trial.
    """
    from marin_build.cli.views.doctor_text import checkups_json, show_checkups
    from marin_build.operations.checks.doctor import examine, try_engine
    from marin_build.text.readable import printable

    if deep and engine is None:
        raise UsageError("`--deep` tries one engine", hint="name it: --engine kubernetes")
    if deep and as_json:
        raise UsageError("`--deep` prints as it goes on, and not as JSON")
    checkups = examine(os.getcwd(), profile, engine, prefix)
    if as_json:
        sys.stdout.write(json.dumps(checkups_json(checkups), indent=1) + "\n")
    else:
        show_checkups(checkups)
    if deep and engine is not None:
        for line in try_engine(os.getcwd(), engine, profile):
            echo(f"  {printable(line)}")
    return EXIT_USAGE if any(one.state == "fail" for one in checkups) else EXIT_OK
