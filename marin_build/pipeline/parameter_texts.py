"""Parameters as text, as `--set` gives them and plans record them. Pure.

A text is read by the type of its parameter. Where that could change a value (`"5"`, null, a table),
the parameter is called `json:NAME`, and its text is JSON.
"""

from __future__ import annotations

import json
from typing import Any, Self

from marin_build.pipeline.parameter_values import UnfitError, untyped_value

JSON = "json:"
"""Begins the name of a parameter whose text is JSON."""


class FileText(str):
    """The text of a parameter that a file gives; `origin` is the file, as people know it."""

    __slots__ = ("origin",)
    origin: str

    @classmethod
    def of(cls, text: str, origin: str) -> Self:
        """Return a text of a file."""
        made = cls(text)
        made.origin = origin
        return made


def is_json(name: str) -> bool:
    """Return whether the text of a parameter is JSON, by its name."""
    return name.startswith(JSON)


def json_name(name: str) -> str:
    """Return the name that a parameter has if its text is JSON."""
    return f"{JSON}{name}"


def plain_name(name: str) -> str:
    """Return the name of a parameter, whatever its text is."""
    return name.removeprefix(JSON)


def parameter_of_file(name: str, value: Any) -> tuple[str, str]:
    """Return the name and the text of the parameter that gives a value.

    Raises:
        ValueError: JSON has no form for the value.
        TypeError: as above.

    """
    if isinstance(value, str) and (_is_itself(value) or ":" in name):
        return name, value
    text = json.dumps(value, allow_nan=False, ensure_ascii=False)
    if isinstance(value, bool | int | float):
        return name, text
    return json_name(name), text


def _is_itself(text: str) -> bool:
    """Return whether a text stays what it is for a parameter without a type."""
    try:
        return bool(untyped_value(text) == text)
    except UnfitError:
        return False


def as_options(name: str, text: str) -> dict[str, str]:
    """Return a parameter as options of a program: `{"train.lr": "0.1"}` for a table `train`."""
    if not is_json(name):
        return {name: text}
    return dict(_flat(plain_name(name), json.loads(text)))


def _flat(name: str, value: Any) -> list[tuple[str, str]]:
    if isinstance(value, dict):
        return [each for key, item in value.items() for each in _flat(f"{name}.{key}", item)]
    return [(name, value if isinstance(value, str) else json.dumps(value, ensure_ascii=False))]
