"""Objects of the Kubernetes API as JSON, and what is read from them. Pure.

Other programs may have written them: what has another shape than expected counts as not said.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from marin_build.text.readable import printable

if TYPE_CHECKING:
    from collections.abc import Iterable

Object = dict[str, Any]
"""An object of the Kubernetes API."""
_LONGEST_WORDS = 400


def conditions_of(thing: Object) -> dict[str, Object]:
    """Return the conditions that hold, by type."""
    return {k: each for k, each in all_conditions(thing).items() if each.get("status") == "True"}


def all_conditions(thing: Object) -> dict[str, Object]:
    """Return the conditions, those that do not hold included, by type."""
    found = table_at(thing, "status").get("conditions")
    entries = found if isinstance(found, list) else []
    return {text_at(each, "type"): each for each in entries if isinstance(each, dict)}


def first_said(texts: Iterable[str]) -> str:
    """Return the first text that is not empty; empty if all are."""
    return next((text for text in texts if text), "")


def short_words(text: str) -> str:
    """Return the first line of what a server says, as something that a terminal can show."""
    line = printable(next(iter(text.strip().splitlines()), ""))
    return line if len(line) <= _LONGEST_WORDS else f"{line[: _LONGEST_WORDS - 3]}..."


def table_at(thing: Object, key: str) -> Object:
    """Return the object at a key; an empty one if none is there."""
    found = thing.get(key)
    return found if isinstance(found, dict) else {}


def text_at(thing: Object, key: str) -> str:
    """Return the text at a key; empty if none is there."""
    found = thing.get(key)
    return found if isinstance(found, str) else ""
