"""What click refuses of a command line, in our form: words in back-ticks, and a way out."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    import click

_PROGRAM = "marin-build"
_QUESTION = re.compile(r"\.? ?\(?Did you mean (?:one of: )?(.*?)\?\)?$")
"""How click ends a message about a word that it nearly knows."""
_PLAIN = (
    ("is not a valid integer range", "is no whole number"),
    ("is not a valid integer", "is no whole number"),
    ("is not a valid float", "is no number"),
)


def usage_error(error: click.ClickException, argv: Sequence[str]) -> str:
    """Return what is shown of a command line that click refuses, with its last line end.

    Args:
        error: as click raised it.
        argv: the command line.

    """
    message = error.format_message()
    question = _QUESTION.search(message)
    text = message[: question.start()] if question else message
    for theirs, ours in _PLAIN:
        text = text.replace(theirs, ours)
    text = _quoted(text[:1].lower() + text[1:].rstrip("."))
    command = _command(error, argv)
    hint = f"{command} --help"
    if question:
        hint = f"did you mean {_quoted(question[1]).replace('`, `', '` or `')}?"
    elif command == _PROGRAM and argv and argv[0].startswith("-"):
        hint = f"options stand after the command: {_PROGRAM} apply -j 4"
    elif text == "missing argument `TARGET`":
        hint = f"name a target, as `{_PROGRAM} status` lists them: {command} NAME"
    return f"error: {text}\nhint: {hint}\n"


def _quoted(text: str) -> str:
    """Return a text with back-ticks instead of apostrophes around words."""
    return re.sub(r"(?<!\w)'([^']*)'(?!\w)", r"`\1`", text)


def _command(error: click.ClickException, argv: Sequence[str]) -> str:
    """Return the command that refused its words; the parser of options names none."""
    context: click.Context | None = getattr(error, "ctx", None)
    if context is not None:
        return context.command_path
    from marin_build.cli.group import is_command

    return f"{_PROGRAM} {argv[0]}" if argv and is_command(argv[0]) else _PROGRAM
