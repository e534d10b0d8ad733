"""The text of plan.json: one field on each line, so that people can read and `diff` it.

Written here and not by pydantic or `json.dumps(indent=...)`: those take several times as long for
10,000 targets, and a payload has to stand in the file exactly as it was hashed.
"""

from __future__ import annotations

import dataclasses
from json.encoder import encode_basestring_ascii as quoted
from operator import attrgetter
from typing import TYPE_CHECKING, Any

from marin_build.identity.canonical import canonical_text

if TYPE_CHECKING:
    from collections.abc import Container, Iterable, Iterator, Sequence

    from pydantic import BaseModel


END = "\n}\n"
"""The end of the text of a plan; `document_pieces` does not yield it."""

_OPTIONAL = ("bundle", "expansions")
"""Fields that the text of a plan without them does not have."""


def document_text(document: BaseModel, leave_out: Container[str] = ()) -> str:
    """Return a plan as JSON text in ASCII; see `document_pieces`."""
    return "".join(document_pieces(document, leave_out)) + END


def document_pieces(document: BaseModel, leave_out: Container[str] = ()) -> Iterator[str]:
    """Yield a plan as JSON text in ASCII, its fields in the order in which they are declared.

    In pieces, and without the last one, END: the text of 100,000 targets has 50 MB.

    Args:
        document: the plan.
        leave_out: names of fields to leave out.

    """
    before = "{\n "
    for name, value in document:
        if name in leave_out or (name in _OPTIONAL and not value):
            continue
        yield f'{before}"{name}": '
        before = ",\n "
        if name == "decisions":
            yield from _lines("[", _parts(value, "{\n   ", ",\n   ", "\n  }"), "]")
        elif name in ("pruned", "expansions"):
            yield from _lines("[", _parts(value, "{", ", ", "}"), "]")
        elif name == "files":
            yield from _lines("{", (f"{quoted(k)}: {quoted(v)}" for k, v in value.items()), "}")
        else:
            yield _value(name, value)


def _parts(parts: Sequence[Any], start: str, between: str, end: str) -> Iterator[str]:
    """Yield dataclasses of one kind as JSON objects."""
    if not parts:
        return
    names = [field.name for field in dataclasses.fields(parts[0])]
    values = attrgetter(*names)
    for part in parts:
        fields = [f'"{k}": {_value(k, v)}' for k, v in zip(names, values(part), strict=True)]
        yield start + between.join(fields) + end


def _value(name: str, value: Any) -> str:
    if name == "payload" and not ("NaN" in value or "Infinity" in value):
        return str(value)  # it is canonical JSON already, and must stay what was hashed
    if type(value) is str:
        return quoted(value)
    if type(value) is tuple:
        return "[" + ", ".join([_value("", item) for item in value]) + "]"
    return "null" if value is None else canonical_text(value)


def _lines(start: str, parts: Iterable[str], end: str) -> Iterator[str]:
    """Yield parts between brackets, each on lines of its own."""
    between, last = f"{start}\n  ", start + end
    for part in parts:
        yield between + part
        between, last = ",\n  ", f"\n {end}"
    yield last
