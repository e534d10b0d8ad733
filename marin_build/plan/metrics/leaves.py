"""The leaves of nested JSON values, each with a name: `{"eval": {"acc": 1}}` has `eval.acc`. Pure.

Names are for people and for columns of a table, so they are not quoted: a key may hold a dot.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator


_TAGS_OF_FIELDS = ("__dataclass__", "__model__")
_TAGS_OF_VALUES = ("__path__", "__dtype__", "__bytes__", "__set__")
_MICROSECONDS = 1_000_000


def leaves(value: Any, name: str = "") -> Iterator[tuple[str, Any]]:
    """Yield the leaves of nested objects with their names; a list is a leaf.

    Args:
        value: a JSON value, of bounded depth as `parse_json` returns it.
        name: what it is called; a leaf without any name is called by an empty text.

    """
    if isinstance(value, dict):
        for key, part in value.items():
            yield from leaves(part, below(name, key))
    else:
        yield name, value


def attribute_leaves(value: Any, name: str = "") -> Iterator[tuple[str, Any]]:
    """Yield the leaves of canonical attributes, as their author wrote them.

    What JSON has no form for is shown in its plain one: a path as a text, a duration in seconds, a
    member of an enumeration by its name. The class of a dataclass is a leaf beside its fields. A
    list is a leaf unless something in it has parts of its own.
    """
    if isinstance(value, list | tuple):
        if any(isinstance(item, dict | list | tuple) for item in value):
            for at, item in enumerate(value):
                yield from attribute_leaves(item, f"{name}[{at}]")
        else:
            yield name, list(value)
        return
    if not isinstance(value, dict) or not value:
        yield name, value
        return
    plain = _plain(value)
    if plain is not value:
        yield name, plain
        return
    for tag in _TAGS_OF_FIELDS:
        if tag in value:
            yield name, value[tag]
            value = value.get("fields") or {}
    for key, part in value.items() if isinstance(value, dict) else ():
        yield from attribute_leaves(part, below(name, key))


def _plain(value: dict[str, Any]) -> Any:
    """Return what a value that JSON has no form for is in plain words; other values themselves."""
    if "__enum__" in value:
        return value["__enum__"]
    if "__secret__" in value:
        return "[secret]"
    if isinstance(span := value.get("__timedelta__"), int) and abs(span) < 10**24:
        return span / _MICROSECONDS
    return next((value[tag] for tag in _TAGS_OF_VALUES if tag in value), value)


def below(name: str, key: str) -> str:
    """Return the name of a part."""
    return f"{name}.{key}" if name else key


def each_once(named: Iterable[tuple[str, Any]]) -> dict[str, Any]:
    """Return leaves by name; of two with one name the second is called `name (2)`."""
    found: dict[str, Any] = {}
    for name, value in named:
        found[name if name not in found else free_name(name, found)] = value
    return found


def free_name(name: str, taken: Iterable[str]) -> str:
    """Return a name that is not taken: the name itself, else `name (2)`, `name (3)` ..."""
    known = taken if isinstance(taken, dict | set | frozenset) else set(taken)
    if name not in known:
        return name
    number = 2
    while f"{name} ({number})" in known:
        number += 1
    return f"{name} ({number})"
