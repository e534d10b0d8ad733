"""Patterns over `/`-joined paths and names: `*` and `?` within a segment, `**` across."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence


_TOKEN = re.compile(r"\*\*/|\*\*|\*|\?|\[[^\]]+\]|.", re.DOTALL)


def compile_patterns(patterns: Iterable[str]) -> Callable[[str], bool]:
    """Return the predicate that tells whether any of `patterns` matches a whole path."""
    expression = "|".join(f"(?:{_translate(pattern)})" for pattern in patterns)
    if not expression:
        return lambda _path: False
    matcher = re.compile(expression, re.DOTALL).fullmatch
    return lambda path: matcher(path) is not None


def may_match_below(patterns: Iterable[str], folder: str) -> bool:
    """Return whether any of `patterns` can match a path below `folder`, whatever lies there."""
    names = folder.split("/")
    return any(_reaches_below(pattern.split("/"), names) for pattern in patterns)


def _reaches_below(parts: Sequence[str], names: Sequence[str]) -> bool:
    for part, name in zip(parts, names, strict=False):
        if "**" in part:
            return True
        if not compile_patterns([part])(name):
            return False
    return len(parts) > len(names)


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
            case _ if len(token) > 1:
                parts.append(_character_class(token))
            case _:
                parts.append(re.escape(token))
    return "".join(parts)


def _character_class(token: str) -> str:
    """Return `[a-z]` or `[!a-z]` as an expression; one that means nothing stands for itself."""
    inner = token[1:-1]
    negated = "^" if inner[0] in "!^" else ""
    # Escaped too: what `re` keeps for set operations (`--`, `&&`); `-` stays, once, for ranges.
    members = re.sub(r"([\\\[\]^&~|]|-(?=-))", r"\\\1", inner[len(negated) :])
    expression = f"[{negated}{members}]"
    try:
        re.compile(expression)
    except re.error:
        return re.escape(token)
    return expression
