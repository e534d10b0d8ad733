"""`marin-build completion`: a shell completes commands, options and the pipeline's own words."""

from __future__ import annotations

import os

import click

from marin_build.cli.completion_scripts import SCRIPTS
from marin_build.cli.terminal import echo
from marin_build.errors import EXIT_OK, StoreError, UsageError

_RC = {"bash": "~/.bashrc", "zsh": "~/.zshrc"}
_MARK = "# marin-build: completion"


@click.command("completion")
@click.argument("shell", type=click.Choice(list(SCRIPTS)), required=False)
@click.option("--install", is_flag=True, help="Make every new shell of yours load it.")
def command(shell: str | None, *, install: bool) -> int:
    """Print what makes a shell complete commands, options, targets, profiles and parameters.

    SHELL is that of $SHELL if it is not given. --install adds a line to ~/.bashrc or ~/.zshrc, or
    writes a file for fish; a second time it changes nothing.

    The names of targets are those of the pipeline in the current folder, or of `-f`. They are kept
    for five minutes, so that not every Tab loads the pipeline.
    """
    shell = shell or _own_shell()
    script = SCRIPTS[shell]
    if not install:
        echo(script, nl=False)
        return EXIT_OK
    if shell == "fish":
        place, text = os.path.expanduser("~/.config/fish/completions/marin-build.fish"), script
    else:
        place = os.path.expanduser(_RC[shell])
        load = f'eval "$(marin-build completion {shell})"'
        line = f"{_MARK}\ncommand -v marin-build >/dev/null && {load}\n"
        before = _text_of(place)
        if _MARK in before:
            echo(f"{place} has it already")
            return EXIT_OK
        text = before + ("\n" if before and not before.endswith("\n") else "") + line
    from marin_build.cli.output_file import write_output_file

    write_output_file(place, text)
    echo(f"written: {place}; the next {shell} that you start completes `marin-build`")
    return EXIT_OK


def _own_shell() -> str:
    shell = os.path.basename(os.environ.get("SHELL", ""))
    if shell not in SCRIPTS:
        raise UsageError(
            f"for the shell `{shell}` there are no completions" if shell else "which shell?",
            hint=f"name one: {', '.join(SCRIPTS)}",
        )
    return shell


def _text_of(path: str) -> str:
    try:
        with open(path, encoding="utf-8", errors="surrogateescape", newline="") as stream:
            return stream.read()
    except FileNotFoundError:
        return ""
    except OSError as error:
        raise StoreError(f"cannot read `{path}`: {error.strerror}") from error
