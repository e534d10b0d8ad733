"""`--help` lists each command in a line that is not cut."""

from __future__ import annotations

from pathlib import Path

import click

from marin_build.cli.group import cli


def test_help_lists_every_command_in_one_line() -> None:
    folder = Path(__file__).parents[3] / "marin_build" / "cli" / "commands"
    files = {path.stem.replace("_", "-") for path in folder.glob("[a-z]*.py")}
    assert files - {"list-targets"} == set(cli.list_commands(click.Context(cli)))
    lines = cli.get_help(click.Context(cli, terminal_width=80)).split("Commands:\n")[1].split("\n")
    assert [line.split()[0] for line in lines] == cli.list_commands(click.Context(cli))
    assert all(line.endswith(".") and len(line) < 80 for line in lines)
