"""Text from elsewhere, made harmless for people: nothing in it moves a cursor or forges a line."""

from __future__ import annotations


def printable(text: str) -> str:
    """Return a text without what a terminal would obey, or what turns the reading direction."""
    if text.isprintable():
        return text
    return "".join(
        char if char.isprintable() else char.encode("unicode_escape").decode() for char in text
    )
