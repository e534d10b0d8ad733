"""Steps that are the same but for their names: a name is a part of identity. Pure.

Today's payload with the older name, and with the older names of renamed dependencies, has the
fingerprint of the earlier build. So an id with a hash proves a rename, and no record is read.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from marin_build.identity.canonical import quoted
from marin_build.identity.payload import HASH_ID_LENGTH, fingerprint_of
from marin_build.plan.payload_diff import ABSENT, Difference

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping, Sequence

    from marin_build.pipeline.targets import Targets
    from marin_build.plan.decisions import Decision


_MOST = 50_000
"""How many payloads are hashed in a search; a longer one would delay a plan by seconds."""


class RenameSearch:
    """Looks for the older names of steps, dependencies first.

    Args:
        names: the names that may be older ones: no step of today has them.
        ids: today's id of each step that was renamed -> its older id; what is found joins it.

    """

    def __init__(self, names: Collection[str], ids: dict[str, str]) -> None:
        self._names = sorted(names)
        self._left = _MOST
        self.ids = ids

    def find(self, target: str, payload: str, is_known: Callable[[str, str], bool]) -> str | None:
        """Return the older name of a step, or None.

        Args:
            target: its id today.
            payload: its payload today.
            is_known: tells whether a build with an older name and payload is known.

        """
        self._left -= len(self._names)
        if self._left < 0:
            return None
        _, at, version = target.rpartition("@")
        body = body_before(payload, self.ids)
        for name in self._names:
            older = payload_named(body, name)
            if is_known(name, older):
                end = f"@{version}" if at else f"_{fingerprint_of(older)[:HASH_ID_LENGTH]}"
                self.ids[target] = name + end
                return name
        return None


def renames_among(targets: Targets, decisions: Iterable[Decision]) -> dict[str, str]:
    """Return the renames that changed dependencies prove by their hashes: today's id -> older id.

    So a dependency that was built or adopted under its new name is recognised, too.
    """
    pairs: dict[int, list[str]] = {}
    for decision in decisions:
        changes = decision.root.changes if decision.root is not None else ()
        deps = [change for change in changes if change.path.startswith("deps.")]
        gone = [change.old for change in deps if change.new is None]
        for change in deps if gone else ():
            index = targets.by_id.get(change.new) if change.old is None else None
            if index is not None:
                pairs.setdefault(index, []).extend(gone)
    ids: dict[str, str] = {}
    left = _MOST
    for index in sorted(pairs):  # dependencies first
        target = targets.all[index]
        body = body_before(target.step.payload, ids)
        for old in dict.fromkeys(pairs[index]):
            left -= 1
            name, _, end = old.rpartition("_")
            if left < 0 or len(end) != HASH_ID_LENGTH:
                continue
            if fingerprint_of(payload_named(body, name)).startswith(end):
                ids[target.id] = old
                break
    return ids


def body_before(payload: str, ids: Mapping[str, str]) -> str:
    """Return a payload without its name, with other ids of dependencies.

    Args:
        payload: the payload of today.
        ids: today's id of a dependency -> its older id.

    """
    values: dict[str, Any] = json.loads(payload)
    if ids and not ids.keys().isdisjoint(values["deps"]):
        values["deps"] = sorted(ids.get(dep, dep) for dep in values["deps"])
        if "bind" in values:
            values["bind"] = _with_ids(values["bind"], ids)
        payload = json.dumps(values)  # in the order that the payload has
    return payload[: -len(quoted(values["name"])) - 1]  # the name is the last of the sorted keys


def payload_named(body: str, name: str) -> str:
    """Return the payload with a name; `body` is of `body_before`."""
    return f"{body}{quoted(name)}}}"


def _with_ids(value: Any, ids: Mapping[str, str]) -> Any:
    match value:
        case str():
            return ids.get(value, value)
        case dict():
            return {key: _with_ids(item, ids) for key, item in value.items()}
        case list():
            return [_with_ids(item, ids) for item in value]
    return value


def with_renames(found: Sequence[Difference], ids: Mapping[str, str]) -> list[Difference]:
    """Return differences in which a renamed dependency is one difference, not two.

    Args:
        found: the differences of two payloads.
        ids: today's id of a renamed step -> its older id.

    """
    come = {d.new for d in found if _is_dependency(d) and d.old is ABSENT}
    gone = {d.old for d in found if _is_dependency(d) and d.new is ABSENT}
    pairs = {new: old for new, old in ids.items() if new in come and old in gone}
    if not pairs:
        return list(found)
    return list(_merged(found, pairs))


def _merged(found: Iterable[Difference], pairs: Mapping[str, str]) -> Iterable[Difference]:
    olds = set(pairs.values())
    for d in found:
        if _is_dependency(d) and d.new is ABSENT and d.old in olds:
            continue
        if _is_dependency(d) and d.old is ABSENT and d.new in pairs:
            yield Difference(d.path, pairs[d.new], d.new)
        elif not (isinstance(d.new, str) and pairs.get(d.new) == d.old):  # an echo in `bind`
            yield d


def _is_dependency(difference: Difference) -> bool:
    return difference.path.startswith("deps.")
