"""The differences of two payloads, leaf by leaf, for `plan`, `explain` and `diff`.

Two payloads have no difference exactly if their canonical texts, and so their fingerprints, are
equal: an explanation cannot disagree with the hash.
"""

from __future__ import annotations

import enum
import json
import re
from typing import TYPE_CHECKING, Any

from marin_build.identity.canonical import canonical_text
from marin_build.identity.payload import HASHED_NAME
from marin_build.quick_dataclass import dataclass
from marin_build.text.secret_shapes import masked_text, masked_value

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence


_NAME = r"[A-Za-z_][A-Za-z0-9_-]*"
_PLAIN_KEY = re.compile(rf"{_NAME}(?:\.(?:\[\d+\]|{_NAME}))*", re.ASCII)
"""A name, or several joined by dots, as Marin's executor joins those of a config."""
_LAST_KEY = re.compile(r'([^.\[\]"]+)"?\]?(?:\.?\[\d+\])*$')
"""The last name in a path: an index is none."""
_VERSIONED = re.compile(r"(?P<name>.+?)@[^@]*")
_TAGS = ("__dataclass__", "__model__")  # canonical.py: their attributes stand below `fields`


class Absent(enum.Enum):
    """The value at a path that only the other payload has."""

    ABSENT = "absent"


ABSENT = Absent.ABSENT


@dataclass(frozen=True, slots=True)
class Difference:
    """One leaf, or one branch that only one side has: `attrs.seq_len`, 4096, 8192.

    `old` and `new` are JSON values, or ABSENT. Dependencies are `deps.NAME`, inputs `inputs.NAME`.
    """

    path: str
    old: Any
    new: Any


def without_nulls(path: str, old: Any, new: Any) -> Difference:
    """Return a difference of values of which None stands for the side that has none.

    Two None are left as they are: then one side is a null, and it is not known which.
    """
    if old is None and new is None:
        return Difference(path, old, new)
    return Difference(path, ABSENT if old is None else old, ABSENT if new is None else new)


def differences(old_payload: Mapping[str, Any], new_payload: Mapping[str, Any]) -> list[Difference]:
    """Return what differs between two payloads, in the order of their keys.

    Lists are compared from both ends, so that one insertion is one difference; dependencies by
    name.
    """
    return list(_of_mappings("", old_payload, new_payload))


def without_echoes(found: Sequence[Difference]) -> list[Difference]:
    """Return differences without those in `bind` that only repeat a changed dependency."""
    replaced = {(d.old, d.new) for d in found if _is_dependency(d)}
    gone = {old for old, new in replaced if new is ABSENT}
    come = {new for old, new in replaced if old is ABSENT}
    olds, news = {old for old, _ in replaced} - gone, {new for _, new in replaced} - come

    def is_echo(d: Difference) -> bool:
        if not d.path.startswith(("bind.", "bind[")) or not _are_names(d.old, d.new):
            return False
        if d.old in olds and d.new in news:
            # Dependencies of one name are paired in any order; a different name is a real change.
            return dependency_name(d.old) == dependency_name(d.new)
        return (d.new is ABSENT and d.old in gone) or (d.old is ABSENT and d.new in come)

    return [difference for difference in found if not is_echo(difference)]


def _is_dependency(difference: Difference) -> bool:
    return difference.path.startswith("deps.") and _are_names(difference.old, difference.new)


def _are_names(*values: object) -> bool:
    return all(value is ABSENT or isinstance(value, str) for value in values)


def dependency_name(target_id: str) -> str:
    """Return the step name in a target's id: `tokenize` of `tokenize_1a2b3c4d`, `tokenize@v1`."""
    match = HASHED_NAME.fullmatch(target_id) or _VERSIONED.fullmatch(target_id)
    return match["name"] if match else target_id


def older_name(difference: Difference) -> str | None:
    """Return the older name of a renamed dependency; None if it kept its name."""
    name, old, new = difference.path.removeprefix("deps."), difference.old, difference.new
    if not isinstance(old, str) or not isinstance(new, str) or dependency_name(new) != name:
        return None
    was = dependency_name(old)
    return was if was != name else None


def _of_mappings(path: str, old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[Difference]:
    for key in sorted({*old, *new}):
        yield from _of(_below(path, key, old, new), old.get(key, ABSENT), new.get(key, ABSENT))


def _below(path: str, key: str, *sides: Mapping[str, Any]) -> str:
    """Return the path of a key; the `fields` of a dataclass are left out of it."""
    if key == "fields" and all(any(tag in side for tag in _TAGS) for side in sides):
        return path
    key = masked_text(key)
    if not _PLAIN_KEY.fullmatch(key) and path != "inputs":  # names of inputs stand for themselves
        return f"{path}[{json.dumps(key)}]"
    return f"{path}.{key}" if path else key


def _of(path: str, old: Any, new: Any) -> Iterator[Difference]:
    if path in ("bind", "inputs"):  # a payload leaves them out where there are none
        if old is ABSENT and new:
            old = {}
        elif new is ABSENT and old:
            new = {}
    if isinstance(old, dict) and isinstance(new, dict):
        yield from _of_mappings(path, old, new)
    elif isinstance(old, list | tuple) and isinstance(new, list | tuple):
        if _same(old, new):
            return
        if path == "deps" and all(isinstance(item, str) for item in (*old, *new)):
            found = list(_of_dependencies(old, new))
            if found:
                yield from found
                return
        yield from _of_lists(path, old, new)
    elif not _same(old, new):
        name = _last_name(path)
        yield Difference(path, masked_value(old, name), masked_value(new, name))


def _last_name(path: str) -> str:
    """Return the last key in a path, `api_key` in `attrs.hosts[0]["api_key"][2]`."""
    found = _LAST_KEY.search(path)
    return found[1] if found is not None else ""


def _of_dependencies(old: Sequence[str], new: Sequence[str]) -> Iterator[Difference]:
    """Compare ids of dependencies by the names in them; nothing if only their order differs."""
    before, after = _by_name(old, new), _by_name(new, old)
    for name in sorted({*before, *after}):
        olds, news = before.get(name, []), after.get(name, [])
        for i in range(max(len(olds), len(news))):
            yield Difference(
                f"deps.{name}",
                olds[i] if i < len(olds) else ABSENT,
                news[i] if i < len(news) else ABSENT,
            )


def _by_name(ids: Sequence[str], others: Sequence[str]) -> dict[str, list[str]]:
    """Return name -> its ids that are missing in `others`, or occur less often there."""
    rest, found = list(others), dict[str, list[str]]()
    for id_ in sorted(ids):
        if id_ in rest:
            rest.remove(id_)
        else:
            found.setdefault(dependency_name(id_), []).append(id_)
    return found


def _of_lists(path: str, old: Sequence[Any], new: Sequence[Any]) -> Iterator[Difference]:
    shorter = min(len(old), len(new))
    start = 0
    while start < shorter and _same(old[start], new[start]):
        start += 1
    end = 0
    while end < shorter - start and _same(old[-1 - end], new[-1 - end]):
        end += 1
    olds, news = old[start : len(old) - end], new[start : len(new) - end]
    for i in range(max(len(olds), len(news))):
        yield from _of(
            f"{path}[{start + i}]",
            olds[i] if i < len(olds) else ABSENT,
            news[i] if i < len(news) else ABSENT,
        )


def _same(old: Any, new: Any) -> bool:
    """Return whether two values have the same canonical text: 1, 1.0 and True differ."""
    if old is ABSENT or new is ABSENT:
        return old is new
    if type(old) is type(new) and type(old) in (str, int, bool, type(None)):
        return bool(old == new)
    if isinstance(old, list | tuple) and isinstance(new, list | tuple):
        return len(old) == len(new) and all(map(_same, old, new))
    return canonical_text(old) == canonical_text(new)
