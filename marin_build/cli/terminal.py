"""The one way to a terminal for what this program says.

Much of it was written by others: reasons, messages, names of hosts. So every text passes the filter
here, and only colours that we give ourselves reach a terminal.
"""

from __future__ import annotations

import os
import re
from typing import NamedTuple, TextIO

import click

from marin_build.text.readable import visible


def moves_cursor(stream: TextIO) -> bool:
    """Return whether a stream is a terminal that can overwrite its lines."""
    return stream.isatty() and os.environ.get("TERM", "dumb") not in ("dumb", "unknown")


class Styled(NamedTuple):
    """A piece of a line in a colour; None: that of the terminal."""

    text: str
    fg: str | None = None


def echo(
    *pieces: str | Styled,
    fg: str | None = None,
    bold: bool | None = None,
    err: bool = False,
    nl: bool = True,
) -> None:
    """Print a text on standard output, or on standard error; lines may end in it.

    Args:
        pieces: of the text.
        fg, bold: how pieces without a colour of their own are shown.
        err: print on standard error.
        nl: end the line.

    """
    shown = "".join(_shown(piece, fg, bold) for piece in pieces)
    click.echo(shown, err=err, nl=nl)


def _shown(piece: str | Styled, fg: str | None, bold: bool | None) -> str:
    if isinstance(piece, Styled):
        return click.style(visible(piece.text), fg=piece.fg) if piece.fg else visible(piece.text)
    if fg is None and bold is None:
        return visible(piece)
    return click.style(visible(piece), fg=fg, bold=bold)


_COLOUR = re.compile(r"(\x1b\[[0-9;:]*m)")
_RESET = "\x1b[0m"


def log_for_terminal(lines: bytes) -> bytes:
    """Return lines of a log as a terminal may get them: programs that steps run like colours."""
    pieces = _COLOUR.split(lines.decode("utf-8", "replace"))
    pieces[::2] = map(visible, pieces[::2])
    return ("".join(pieces) + (_RESET if len(pieces) > 1 else "")).encode()
