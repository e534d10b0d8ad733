"""One thing that is wrong with an object, and the few sentences that many rules share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

UNREADABLE, DENIED, NOT_FOUND, INVALID, ACCEPTED = 400, 403, 404, 422, 201

Fields = dict[str, Any]
"""An object, or a part of it, whose fields have the types that the schema gives them."""


@dataclass(frozen=True, slots=True)
class Violation:
    """A value of an object that breaks a rule.

    Args:
        field: its path as an API server writes it: `spec.template.spec.containers[0].image`.
        message: what is wrong, in words that stand after the field.
        status: what a server answers to the object: 400, it cannot read it; 403, a webhook of
            JobSet denies it; 404, there is no such namespace; 422, it is invalid; 201, it takes
            the object, which then never does what it says.

    """

    field: str
    message: str
    status: int = INVALID

    @property
    def sentence(self) -> str:
        """The field and what is wrong with it; a colon stands before a value."""
        return f"{self.field}{': ' if self.message[0] == '`' else ' '}{self.message}"


def shown(value: object) -> str:
    """Return a value for a message, cut where it is long."""
    text = value if isinstance(value, str) else repr(value)
    text = text if text.isprintable() else repr(text)
    return f"`{text if len(text) <= _SHOWN else text[: _SHOWN - 3] + '...'}`"


_SHOWN = 80


def enum(
    fields: Fields, path: str, key: str, allowed: Sequence[str], status: int = INVALID
) -> Iterator[Violation]:
    """Yield a violation if a field holds another word than those; empty is as good as absent."""
    value = fields.get(key)
    if value and value not in allowed:
        words = ", ".join(allowed)
        yield Violation(f"{path}.{key}", f"{shown(value)} is none of {words}", status)


def at_least(fields: Fields, path: str, least: int, *keys: str) -> Iterator[Violation]:
    """Yield a violation for each of these numbers that is smaller than `least`."""
    for key in keys:
        if (value := fields.get(key)) is not None and value < least:
            yield Violation(f"{path}.{key}", f"{shown(value)} is below {least}")


def problem_at(path: str, value: object, problem: str | None) -> Iterator[Violation]:
    """Yield a violation where a rule of `api_rules` found a problem with a value."""
    if problem:
        yield Violation(path, f"{shown(value)} {problem}")


def required(fields: Mapping[str, Any], path: str, *keys: str) -> Iterator[Violation]:
    """Yield a violation for each field that is empty; the schema says which must be there."""
    for key in keys:
        if not fields.get(key):
            yield Violation(f"{path}.{key}", "is empty")
