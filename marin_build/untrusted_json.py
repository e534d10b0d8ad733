"""The reader of JSON that another program may have written: bounded, and it only ever refuses.

Whatever the bytes are, the result is a value that code may walk by recursion, or a ValueError. What
a value must be beyond that, its document says: with a model, or with the functions below.
"""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

DEEPEST = 300
"""Levels of the deepest document: nothing that we write has more, and readers give up at 1,000."""


def parse_json(data: bytes | str, constant: Callable[[str], Any] | None = None) -> Any:
    """Return the value in JSON.

    Args:
        data: the JSON.
        constant: what to take for `NaN`, `Infinity` and `-Infinity`; None: the number.

    Raises:
        ValueError: the data are no JSON, or are nested too deeply.

    """
    try:
        value = json.loads(data, parse_constant=constant)
    except RecursionError:
        raise ValueError(_TOO_DEEP) from None
    if _openings(data) > DEEPEST and is_deep(value):
        raise ValueError(_TOO_DEEP)
    return value


def _openings(data: bytes | str) -> int:
    """Return how many levels there are at most: to count them takes a tenth of the time."""
    if isinstance(data, str):
        return data.count("[") + data.count("{")
    return data.count(b"[") + data.count(b"{")


_MANY = (dict, list, tuple)
_TOO_DEEP = f"it is nested more than {DEEPEST} levels deep"


def _other(value: object, expected: str) -> ValueError:
    return ValueError(f"a {type(value).__name__} where {expected} is expected")


def is_deep(value: Any, deepest: int = DEEPEST) -> bool:
    """Return whether a value of JSON has more levels than that; found without recursion."""
    level = [value] if isinstance(value, _MANY) else []
    for _ in range(deepest):
        level = [
            part
            for whole in level
            for part in (whole.values() if isinstance(whole, dict) else whole)
            if isinstance(part, _MANY)
        ]
        if not level:
            return False
    return True


def table(value: object) -> dict[str, Any]:
    """Return a value that must be an object of JSON; else ValueError."""
    if not isinstance(value, dict):
        raise _other(value, "an object")
    return value


def array(value: object) -> list[Any]:
    """Return a value that must be an array of JSON; else ValueError."""
    if not isinstance(value, list):
        raise _other(value, "an array")
    return value


def text(value: object) -> str:
    """Return a value that must be a text; else ValueError."""
    if not isinstance(value, str):
        raise _other(value, "a text")
    return value


def text_or_none(value: object) -> str | None:
    """Return a value that must be a text or null; else ValueError."""
    return None if value is None else text(value)


def path(value: object) -> str:
    """Return a value that must be a text which a file system or a store can have as a name."""
    found = text(value)
    if "\0" in found or not (found.isascii() or _is_encodable(found)):
        raise ValueError("a text that no file can have as its name")
    return found


def path_inside(value: object) -> str:
    """Return a value that must be the path of a file inside a folder, and lead nowhere else."""
    found = path(value)
    if not found or found.startswith("/") or ".." in found.split("/"):
        raise ValueError("a path that leads out of its folder")
    return found


def _is_encodable(found: str) -> bool:
    try:
        found.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        return False
    return True


def texts(value: object) -> dict[str, str]:
    """Return a value that must be an object of texts; else ValueError."""
    return {key: text(part) for key, part in table(value).items()}


def texts_or_none(value: object) -> dict[str, str] | None:
    """Return a value that must be an object of texts or null; else ValueError."""
    return None if value is None else texts(value)


def number(value: object) -> float:
    """Return a value that must be a finite number, not negative; null counts as 0."""
    if value is None:
        return 0.0
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise _other(value, "a number")
    try:
        found = float(value)
    except OverflowError as error:
        raise ValueError(str(error)) from None
    if not (math.isfinite(found) and found >= 0):
        raise ValueError(f"{found} where a finite number is expected")
    return found


def whole(value: object) -> int:
    """Return a value that must be a whole number, not negative; null counts as 0."""
    found = number(value)
    if found != int(found):
        raise ValueError(f"{found} where a whole number is expected")
    return value if isinstance(value, int) else int(found)


def whole_or_none(value: object) -> int | None:
    """Return a value that must be a whole number, of any sign, or null; else ValueError."""
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int):
        raise _other(value, "a whole number")
    return value
