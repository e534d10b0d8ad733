"""Rows of JSON values as columns, which take a third of the room: what a page of many steps holds.

Rows that were made by one loop have the same keys and mostly the same values, so a table holds
each key once, and each value of a key once. `templates/graph/columns.js` makes rows of it again.
It is text that a browser reads at once, and equal rows give equal bytes with every version of
Python, which a compressed block does not.

A table is `{"count", "names", "keys", "columns"}`: how many rows there are, the names of the
columns, a column with the numbers of those that each row has, and the columns. A column holds the
values of the rows that have its key, in order:

- `texts`: its different values, if all are texts. A number before a text says how many characters
  that begins with of the text before it.
- `hex`, `digits`: the same, if all are so many hexadecimal digits, as base64 of their bytes.
- `values`: its different values, if they are others.
- `rows`: its values as a table, if they are objects with mostly the same keys.
- `which`: which of its different values each row has: 0 is the next one that no row had before,
  n the n-th last of those that some row had, and -n the number before it n more times. Without
  it, each row has another value.
"""

from __future__ import annotations

import base64
import itertools
import re
from bisect import bisect_left
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    Clean = Callable[[Any, str], Any]


_LEAST_SHARED = 4
"""Characters from which on leaving them out saves more than to say how many they are."""
_LEAST_USED = 4
"""Rows that have each key of an object on average, so that a table of such objects is smaller."""
_DEEPEST = 4
"""Tables within tables: what lies deeper is too small to be worth it."""
_HEX = re.compile("[0-9a-f]+")
_FEWEST_DIGITS = 8


def as_columns(rows: Sequence[Mapping[str, Any]], clean: Clean) -> dict[str, Any]:
    """Return the table of some rows.

    Args:
        rows: JSON values by key.
        clean: returns a value of a key without secrets, and a key as the value of no key; it is
            called once for each different value.

    """
    return _table(rows, clean, 0)


def _table(rows: Sequence[Mapping[str, Any]], clean: Clean, depth: int) -> dict[str, Any]:
    shapes: dict[tuple[str, ...], list[int]] = {}
    names: dict[str, int] = {}
    columns: list[list[Any]] = []
    keys: list[list[int]] = []
    for row in rows:
        shape = tuple(row)
        numbers = shapes.get(shape)
        if numbers is None:
            numbers = shapes[shape] = [names.setdefault(key, len(names)) for key in shape]
            columns += [[] for _ in range(len(names) - len(columns))]
        keys.append(numbers)
        for number, value in zip(numbers, row.values(), strict=True):
            columns[number].append(value)
    return {
        "count": len(rows),
        "names": [clean(name, "") for name in names],
        "keys": _column(keys, "", _unchanged, _DEEPEST),
        "columns": [
            _column(column, name, clean, depth) for name, column in zip(names, columns, strict=True)
        ],
    }


def _unchanged(value: Any, _key: str) -> Any:
    return value


def _column(values: Sequence[Any], key: str, clean: Clean, depth: int) -> dict[str, Any]:
    if depth < _DEEPEST and _are_alike(values):
        return {"rows": _table(values, clean, depth + 1)}
    places: dict[str, int] = {}
    different: list[Any] = []
    numbers: list[int] = []
    for value in values:
        count = len(different)
        place = places.setdefault(repr(value), count)  # 1, 1.0, True and "1" differ in it
        if place == count:
            different.append(clean(value, key))
            numbers.append(0)
        else:
            numbers.append(count - place)
    column = _stored(different)
    if any(numbers):
        column["which"] = list(_in_runs(numbers))
    return column


def _are_alike(values: Sequence[Any]) -> bool:
    """Return whether these are objects that mostly have the same keys."""
    keys, entries = set[str](), 0
    for value in values:
        if not isinstance(value, dict):
            return False
        keys.update(value)
        entries += len(value)
    return entries >= _LEAST_USED * len(keys) > 0


def _stored(different: list[Any]) -> dict[str, Any]:
    if not all(isinstance(value, str) for value in different):
        return {"values": different}
    digits = len(different[0]) if different else 0
    if digits >= _FEWEST_DIGITS and all(len(text) == digits for text in different):
        joined = "".join(different)
        if digits % 2 == 0 and _HEX.fullmatch(joined):
            data = base64.b64encode(bytes.fromhex(joined)).decode()
            return {"hex": data, "digits": digits}
    return {"texts": list(_without_shared(different))}


def _without_shared(texts: Iterable[str]) -> Iterable[int | str]:
    before = ""
    for text in texts:
        shared = _shared(before, text)
        if shared >= _LEAST_SHARED:
            yield shared
            yield text[shared:]
        else:
            yield text
        before = text


def _shared(before: str, text: str) -> int:
    """Return with how many same characters two texts begin."""
    if not (before.isascii() and text.isascii()):
        return 0  # JavaScript counts other characters in another way
    most = min(len(before), len(text))
    return bisect_left(range(most), True, key=lambda at: before[: at + 1] != text[: at + 1])


def _in_runs(numbers: Iterable[int]) -> Iterable[int]:
    for number, run in itertools.groupby(numbers):
        yield number
        more = sum(1 for _ in run) - 1
        if more:
            yield -more
