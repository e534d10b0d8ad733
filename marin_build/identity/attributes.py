"""The attributes of a step in the form that is hashed: as JSON writes them, where it can.

That is what Marin hashes. `json.dumps` writes a member of a StrEnum, and any other value that is a
text or a number by its class, as that text or number; a named tuple as a list; numbers, true, false
and null that are keys as texts. What JSON cannot write has the form of canonical.py, and so has all
that is inside it.
"""

from __future__ import annotations

import dataclasses
import enum
from types import NoneType
from typing import TYPE_CHECKING, Any

from marin_build.errors import UnfingerprintableError
from marin_build.identity.canonical import (
    DEEPEST,
    TAGS,
    FrozenDict,
    FrozenList,
    Tagged,
    freeze_object,
)
from marin_build.identity.refusals import refusal, too_deep
from marin_build.untrusted_json import is_deep

if TYPE_CHECKING:
    from collections.abc import Mapping


_PLAIN = frozenset((str, int, float, bool, NoneType))
_TEXT, _NUMBERS = frozenset((str,)), frozenset((int, float, bool))


class FormerlyTagged(FrozenDict):
    """Attributes that have another form under the former formulas (docs/adr/0027)."""

    __slots__ = ()


def freeze_attributes(attrs: Mapping[Any, object], where: str) -> FrozenDict:
    """Return attributes in the form that is hashed; members of enums stay what they are.

    Args:
        attrs: as the author gives them, or of another step.
        where: `train.attrs`; the paths in errors begin with it.

    Raises:
        UnfingerprintableError: a value has no form.

    """
    attrs = _with_json_keys(attrs, where)
    if _PLAIN.issuperset(map(type, attrs.values())):
        return FrozenDict(attrs)
    enums: list[enum.Enum] = []
    try:
        frozen = FrozenDict(
            {
                key: value if type(value) in _PLAIN else _form(value, where, key, enums)
                for key, value in attrs.items()
            }
        )
    except RecursionError:
        raise too_deep(where) from None
    if is_deep(frozen, DEEPEST):
        raise too_deep(where)
    return FormerlyTagged(frozen) if enums and all(map(_had_a_form, enums)) else frozen


def former_attributes(attrs: Any) -> Any:
    """Return attributes in the form that the former formulas gave them: enums by their names."""
    if type(attrs) is Tagged:
        return attrs
    if isinstance(attrs, enum.Enum):
        return freeze_object(attrs, "")
    if isinstance(attrs, dict):
        return FrozenDict({key: former_attributes(value) for key, value in attrs.items()})
    if isinstance(attrs, tuple):
        return tuple(map(former_attributes, attrs))
    return attrs


def _form(value: Any, parent: str, key: object, enums: list[enum.Enum]) -> Any:
    """Return the form of the value at `parent.key`; put members of enums that JSON can write."""
    kind = type(value)
    if kind in _PLAIN or kind is Tagged:
        return value
    path = f"{parent}.{key}"
    if kind is list or kind is FrozenList or kind is tuple:
        items = value
        if not _PLAIN.issuperset(map(type, value)):
            items = [_form(item, path, i, enums) for i, item in enumerate(value)]
        return tuple(items) if kind is tuple else FrozenList(items)
    if kind is dict or kind is FrozenDict:
        pairs = _with_json_keys(value, path)
        if not _PLAIN.issuperset(map(type, pairs.values())):
            pairs = {k: _form(item, path, k, enums) for k, item in pairs.items()}
        return FrozenDict(pairs)
    if isinstance(value, enum.Enum) and isinstance(value, str | int | float):
        enums.append(value)
        return value
    if isinstance(value, enum.Enum) or dataclasses.is_dataclass(kind):
        return freeze_object(value, path)
    plain = _plain(value)
    return freeze_object(value, path) if plain is value else _form(plain, parent, key, enums)


def _plain(value: Any) -> Any:
    """Return a value of a class below one of JSON's own as that one, whatever its `str` says."""
    match value:
        case str():
            return str.__str__(value)
        case int():
            return int.__int__(value)
        case float():
            return float.__float__(value)
        case list():
            return list(value)
        case tuple():
            return tuple(value)
        case dict():
            return dict(value)
    return value


def _had_a_form(member: enum.Enum) -> bool:
    """Return whether the former formulas had a form for a member: its value may be anything."""
    try:
        freeze_object(member, "")
    except UnfingerprintableError:
        return False
    return True


def _with_json_keys(value: Mapping[Any, Any], path: str) -> Mapping[Any, Any]:
    """Return a dictionary with keys that JSON can write, and can put into an order."""
    if not _TEXT.issuperset(map(type, value)):
        value = {_json_key(key, path): item for key, item in value.items()}
        kinds = {*map(type, value)}
        if not (kinds <= _TEXT or kinds <= _NUMBERS or len(value) == 1):
            names = ", ".join(sorted(kind.__name__ for kind in kinds))
            raise refusal(path, f"its keys are of types that have no common order: {names}")
    if not TAGS.isdisjoint(value):
        raise refusal(path, f"the key `{min(TAGS.intersection(value))}` is reserved")
    return value


def _json_key(key: Any, path: str) -> Any:
    if type(key) in _PLAIN and key == key:  # noqa: PLR0124 - NaN differs from itself
        return key
    if isinstance(key, str | int | float) and key == key:  # noqa: PLR0124
        return _plain(key)
    raise refusal(path, f"a key is {type(key).__name__} `{key!r}`, which JSON cannot write")
