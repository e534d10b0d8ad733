"""Patterns over `/`-joined paths and names: `*` and `?` within a segment, `**` across."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

_TOKEN = re.compile(r"\*\*/|\*\*|\*|\?|\[[^\]]+\]|.", re.DOTALL)


def compile_patterns(patterns: Iterable[str]) -> Callable[[str], bool]:
    """Return the predicate that tells whether any of `patterns` matches a whole path."""
    expression = "|".join(f"(?:{_translate(pattern)})" for pattern in patterns)
    if not expression:
        return lambda _path: False
    matcher = re.compile(expression, re.DOTALL).fullmatch
    return lambda path: matcher(path) is not None


def _translate(pattern: str) -> str:
    parts = []
    for token in _TOKEN.findall(pattern):
        match token:
            case "**/":
                parts.append("(?:.*/)?")
            case "**":
                parts.append(".*")
            case "*":
                parts.append("[^/]*")
            case "?":
                parts.append("[^/]")
            case _ if len(token) > 1:  # a character class
                inner = token[1:-1].replace("\\", "\\\\")
                parts.append("[" + ("^" + inner[1:] if inner[0] in "!^" else inner) + "]")
            case _:
                parts.append(re.escape(token))
    return "".join(parts)
