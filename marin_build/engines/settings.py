"""Checks a table of the configuration against a frozen dataclass, whose fields are its keys.

A field is one key. Its type is one of `str`, `int`, `float`, `bool`, a `Literal` of strings,
`tuple[str, ...]` (a list of strings in TOML) or a `Mapping` (a table); `| None` is allowed beside
them. The names in the annotations must be imported at run time, not only for type checkers.
`__post_init__` can check more, and raise a UsageError; `read_table` adds the file to its facts.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import fields
from types import NoneType
from typing import Any, Literal, TypeVar, get_args, get_origin, get_type_hints

from marin_build.errors import UsageError
from marin_build.quick_dataclass import dataclass
from marin_build.text.readable import did_you_mean


@dataclass(frozen=True, slots=True)
class Table:
    """A table of the configuration, not checked yet.

    Args:
        name: `kubernetes`; empty for our own settings.
        values: its keys and TOML values.
        place: the file, and the profile in it, for errors.

    """

    name: str
    values: Mapping[str, Any]
    place: str


T = TypeVar("T")

NOT_A_SETTING = {"is_setting": False}
"""The metadata of a field that is not a key of the table."""


def setting_names(kind: type[Any]) -> list[str]:
    """Return the keys that a table may have: the fields of the dataclass `kind`."""
    return [one.name for one in fields(kind) if one.metadata.get("is_setting", True)]


def read_table(
    kind: type[T], table: Table, base: T | None = None, others: Collection[str] = ()
) -> T:
    """Return the settings of a table.

    Args:
        kind: the frozen dataclass of the settings.
        table: the table.
        base: the settings that keys missing in the table keep; None: the defaults.
        others: further legal keys that the caller removed from the table; hints may name them.

    Raises:
        UsageError: an unknown key, a value of the wrong type, or one that the dataclass refuses.

    """
    known = setting_names(kind)
    hints = get_type_hints(kind) if table.values else {}
    given = {}
    for key, value in table.values.items():
        name = f"{table.name}.{key}" if table.name else key
        if key not in known:
            raise UsageError(
                f"unknown setting `{name}`",
                facts=[("configuration", table.place)],
                hint=did_you_mean(key, [*known, *others]),
            )
        if not _fits(value, hints[key]):
            raise UsageError(
                f"the setting `{name}` is {_refusal(hints[key])}",
                facts=[("configuration", table.place), ("value", repr(value))],
            )
        given[key] = tuple(value) if isinstance(value, list) else value
    values = {one: getattr(base, one) for one in known} if base is not None else {}
    try:
        return kind(**{**values, **given})
    except UsageError as error:
        error.facts = (("configuration", table.place), *error.facts)
        raise


def _kind_of(hint: Any) -> Any:
    """Return the type beside `None`."""
    kinds = [one for one in get_args(hint) if one is not NoneType]
    return kinds[0] if NoneType in get_args(hint) and len(kinds) == 1 else hint


def _fits(value: Any, hint: Any) -> bool:
    kind = _kind_of(hint)
    if kind is bool:
        return isinstance(value, bool)
    if isinstance(value, bool):
        return False
    if kind is float:
        return isinstance(value, int | float)
    if kind is str or kind is int:
        return isinstance(value, kind)
    if get_origin(kind) is Literal:
        return value in get_args(kind)
    if get_origin(kind) is Mapping:
        return isinstance(value, dict)
    if get_origin(kind) is tuple:
        return isinstance(value, list) and all(isinstance(one, str) for one in value)
    raise TypeError(f"no setting can have the type {kind}")


_WORDS = {str: "a string", int: "an integer", float: "a number", bool: "`true` or `false`"}


def _refusal(hint: Any) -> str:
    """Return the end of the error for a value of a wrong type, in the words of TOML."""
    kind = _kind_of(hint)
    if get_origin(kind) is Literal:
        return f"one of {', '.join(get_args(kind))}"
    if get_origin(kind) is Mapping:
        return "not a table"
    return f"not {_WORDS.get(kind, 'a list of names')}"
