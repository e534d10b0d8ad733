"""`marin-build config show`: the settings that hold here, and where they come from."""

from __future__ import annotations

import json
import os
import sys

import click

from marin_build.cli.terminal import Styled, echo
from marin_build.errors import EXIT_OK
from marin_build.workspace.workspace import find_project


@click.group("config")
def command() -> None:
    """Look at the configuration."""


@command.command("show")
@click.argument("keys", nargs=-1, metavar="[KEY]...")
@click.option("--profile", metavar="NAME", help="A profile of the configuration.")
@click.option("--json", "as_json", is_flag=True, help="One JSON document.")
def show(keys: tuple[str, ...], profile: str | None, *, as_json: bool) -> int:
    """Show the settings that hold in this folder, each with where it comes from.

    KEY is a setting, or a table of them: `jobs`, `kubernetes`, `kubernetes.image`. Options of the
    command line win over all of them.
    """
    from marin_build.cli.views.found_text import show_notes
    from marin_build.operations.checks.examine_analyses import words_on_analyses
    from marin_build.operations.checks.show_config import DEFAULT, show_config
    from marin_build.text.readable import printable

    found = show_config(os.getcwd(), profile, keys)
    if as_json:
        settings = [{"key": o.key, "value": o.value, "origin": o.origin} for o in found]
        document = {"schema_version": 1, "settings": settings}
        sys.stdout.write(json.dumps(document, indent=1, default=str) + "\n")
        return EXIT_OK
    keyed = max((len(printable(one.key)) for one in found), default=0)
    values = [printable(json.dumps(one.value, default=str)) for one in found]
    width = min(max(map(len, values), default=0), _WIDEST)
    for one, value in zip(found, values, strict=True):
        line = f"{printable(one.key):<{keyed}}  {value:<{width}}  {printable(one.origin)}"
        echo(Styled(line, "bright_black" if one.origin == DEFAULT else None))
    if any(one.key == "analysis_cache" and one.value is True for one in found):
        show_notes(words_on_analyses(find_project(os.getcwd())))
    return EXIT_OK


_WIDEST = 40
"""Columns of the values; a longer one moves only its own origin."""
