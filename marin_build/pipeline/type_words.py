"""What an annotation asks for, in words: `a whole number`, `one of ...`. Pure."""

from __future__ import annotations

import collections.abc
import dataclasses
import datetime as dt
import decimal
import enum
import types
import typing
from pathlib import PurePath
from typing import Any

_SHOWN = 12
_NAMED: dict[object, str] = {
    str: "a text",
    int: "a whole number, like 8000",
    float: "a number, like 0.1 or 1e-3",
    bool: "true or false",
    type(None): "null",
    dt.datetime: "a date and a time, like 2026-11-21T10:20:00",
    dt.date: "a date, like 2026-11-21",
    dt.time: "a time, like 10:20:00",
    dt.timedelta: "a duration: a number of seconds, or a text like PT1H30M",
    decimal.Decimal: "a number, like 1.10",
    bytes: "a text",
    Any: "anything",
}
_LISTS = (list, tuple, set, frozenset, collections.abc.Sequence, collections.abc.Iterable)


def expected(annotation: Any) -> str:
    """Return what a value of this type is, for people who write it on the command line."""
    if annotation in _NAMED:
        return _NAMED[annotation]
    origin, args = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is typing.Annotated:
        return expected(args[0])
    if origin is typing.Literal:
        return _one_of(args)
    if origin in (typing.Union, types.UnionType):
        words = dict.fromkeys(expected(arg) for arg in args)
        if str in args:  # then `null` is a text, too
            words.pop(_NAMED[type(None)], None)
        return ", or ".join(words)
    kind = origin or annotation
    if not isinstance(kind, type):
        return str(annotation)
    if issubclass(kind, enum.Enum):
        return _one_of([member.value for member in kind])
    if issubclass(kind, PurePath):
        return "a path"
    if kind in _LISTS:
        return f"a list in JSON, like {_list_like(args)}"
    if issubclass(kind, dict) or typing.is_typeddict(kind) or kind is collections.abc.Mapping:
        return 'an object in JSON, like {"a": 1}'
    if dataclasses.is_dataclass(kind) or hasattr(kind, "model_fields"):
        return f"an object in JSON with the fields of {kind.__name__}: {_fields(kind)}"
    return f"a {kind.__name__}"


def _one_of(values: typing.Iterable[object]) -> str:
    shown = [f"`{value}`" for value in values]
    more = f" and {len(shown) - _SHOWN} more" if len(shown) > _SHOWN else ""
    return f"one of {', '.join(shown[:_SHOWN])}{more}"


def _list_like(args: tuple[Any, ...]) -> str:
    if args and args[0] in (int, float):
        return "[1, 2]"
    return '["a", "b"]' if not args or args[0] in (str, Any) else "[...]"


def _fields(kind: type) -> str:
    names = list(getattr(kind, "model_fields", None) or typing.get_type_hints(kind))
    more = ", ..." if len(names) > _SHOWN else ""
    return ", ".join(f"`{name}`" for name in names[:_SHOWN]) + more
