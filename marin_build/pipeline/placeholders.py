"""Placeholders in the text of a command, `{name}`, and their values. Pure."""

from __future__ import annotations

import enum
import os
import re
from typing import TYPE_CHECKING

from marin_build.identity.secret import Secret

if TYPE_CHECKING:
    from collections.abc import Iterator

PLACEHOLDER = re.compile(r"\{\{([a-z_][a-z0-9_]*)\}\}|(?<!\$)\{([a-z_][a-z0-9_]*)\}")
"""Groups: the name where the braces are doubled, which is text; the name of a placeholder."""


def names_in(text: str) -> Iterator[tuple[str, bool]]:
    """Yield each placeholder's name and whether its braces are doubled (text, not a place)."""
    for literal, name in PLACEHOLDER.findall(text):
        yield (literal or name), bool(literal)


def plain_text(value: object) -> str:
    """Return a parameter as a program gets it.

    Raises:
        ValueError: a value that has no plain form.

    """
    match value:
        case enum.Enum():
            return plain_text(value.value)
        case bool():
            return "true" if value else "false"
        case str() | int() | float() | os.PathLike():
            text = str(value)
            if "\0" not in text:
                return text
        case Secret():
            raise ValueError(
                "a secret would stand in the command line, where all can see it: let the command "
                "read the variable itself, as `$HF_TOKEN`"
            )
    kind = type(value).__name__
    raise ValueError(f"{kind} has no canonical form as a word: give text, a number or a path")
