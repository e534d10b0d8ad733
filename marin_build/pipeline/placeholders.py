"""Placeholders in the text of a command: `{name}`, their values, and in bash their quotes. Pure.

Values never enter shell code: a placeholder there becomes a quoted reference to a variable.
"""

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
_HEREDOC = re.compile(r"(?<!<)<<(?!<)")


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


def shell_code(text: str) -> str:
    """Return bash code in which each placeholder is a quoted variable.

    Raises:
        ValueError: a placeholder stands where no quoting is right.

    """
    pieces: list[str] = []
    end = 0
    heredoc = _HEREDOC.search(text)
    from_here = heredoc.end() if heredoc is not None else len(text) + 1
    for found, context in _placeholders_in_shell(text):
        literal, name = found.groups()
        pieces.append(text[end : found.start()])
        if literal:
            pieces.append(f"{{{literal}}}")
        elif (why := _unquotable(text, found.start(), context, from_here)) is not None:
            raise ValueError(f"the placeholder {{{name}}} stands {why}")
        else:
            pieces.append(f"${{{name}}}" if context == '"' else f'"${{{name}}}"')
        end = found.end()
    pieces.append(text[end:])
    return "".join(pieces)


def _unquotable(text: str, at: int, context: str, heredoc: int) -> str | None:
    """Return why a placeholder cannot be quoted there, and what to do instead."""
    if context == "#":
        return None
    if context in {"'", "$'"}:
        return "inside single quotes; leave them out, it is quoted for you"
    if text[at - 1 : at] == "\\":
        return "after a backslash; leave it out, it is quoted for you"
    if heredoc <= at:
        return "after `<<`; put the text into a script and declare it as an input"
    return None


def _placeholders_in_shell(text: str) -> Iterator[tuple[re.Match[str], str]]:
    """Yield each placeholder and what it stands in.

    That is one of: `"`, `'`, `$'` (quotes), `#` (a comment), or nothing of these: the top level,
    or the inside of `$(...)`, `(...)` or backticks, where quoting begins anew.
    """
    open_contexts: list[str] = []
    i = 0
    while i < len(text):
        top = open_contexts[-1] if open_contexts else ""
        found = PLACEHOLDER.match(text, i)
        if found is not None:
            yield found, top if top in {'"', "'", "$'", "#"} else ""
            i = found.end()
        else:
            i += _step(text, i, top, open_contexts)


def _step(text: str, i: int, top: str, contexts: list[str]) -> int:
    """Follow bash's quoting over one character; return how many characters were passed."""
    char = text[i]
    if top == "#":
        if char == "\n":
            contexts.pop()
    elif top in {"'", "$'"}:
        if char == "\\" and top == "$'":
            return 1 if PLACEHOLDER.match(text, i + 1) else 2
        if char == "'":
            contexts.pop()
    elif char == "\\":
        return 1 if PLACEHOLDER.match(text, i + 1) else 2
    elif char == '"':
        contexts.pop() if top == '"' else contexts.append('"')
    elif char == "`":
        _toggle_backtick(contexts)
    elif char == "(" and (top != '"' or text[i - 1 : i] == "$"):
        contexts.append("(")
    elif char == ")" and top == "(":
        contexts.pop()
    elif top != '"' and char == "'":
        contexts.append("$'" if text[i - 1 : i] == "$" else "'")
    elif top != '"' and char == "#" and (i == 0 or text[i - 1] in " \t\n;&|("):
        contexts.append("#")
    return 1


def _toggle_backtick(contexts: list[str]) -> None:
    if "`" not in contexts:
        contexts.append("`")
        return
    while contexts.pop() != "`":
        pass
