"""What click refuses, as people read it: no jargon of a parser, and a way out that works."""

from __future__ import annotations

import click
import pytest

from marin_build.cli.group import cli
from marin_build.cli.usage_errors import usage_error


@pytest.mark.parametrize(
    ("line", "text", "hint"),
    [
        ("apply --focre x", "no such option `--focre`", "did you mean `--file` or `--force`?"),
        ("report --outptu x", "no such option `--outptu`", "did you mean `--output`?"),
        ("apply --zzz", "no such option `--zzz`", "marin-build apply --help"),
        (
            "apply -j four",
            "invalid value for `-j` / `--jobs`: `four` is no whole number",
            "marin-build apply --help",
        ),
        (
            "-j 4 apply",
            "no such option `-j`",
            "options stand after the command: marin-build apply -j 4",
        ),
        (
            "show",
            "missing argument `TARGET`",
            "name a target, as `marin-build status` lists them: marin-build show NAME",
        ),
        (
            "graph --format pgn",
            (
                "invalid value for `--format`: `pgn` is not one of `text`, `html`, `svg`, `dot`, "
                "`mermaid`, `json`"
            ),
            "marin-build graph --help",
        ),
        ("plan --prefix", "option `--prefix` requires an argument", "marin-build plan --help"),
    ],
)
def test_the_words_and_the_way_out(line: str, text: str, hint: str) -> None:
    argv = line.split()
    with pytest.raises(click.ClickException) as caught:
        cli.main(args=argv, prog_name="marin-build", standalone_mode=False)
    assert usage_error(caught.value, argv) == f"error: {text}\nhint: {hint}\n"
