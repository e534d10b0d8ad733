"""What changed since the nearest earlier build of the same name. Pure."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from marin_build.plan.difference_text import WIDE, describe_difference
from marin_build.plan.payload_diff import ABSENT, differences, without_echoes, without_nulls
from marin_build.plan.reasons import Change, IdentityChanged

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from marin_build.plan.payload_diff import Difference
    from marin_build.plan.snapshot import Earlier


_COMPARED = 5
"""How many builds, of those with the fewest different leaves, are compared in detail."""


class Neighbours:
    """Compares payloads with earlier builds; splits the payload of each build into leaves once."""

    def __init__(self) -> None:
        self._parts: dict[int, frozenset[str]] = {}

    def nearest_first(
        self, payload: Mapping[str, Any], earlier: Sequence[Earlier]
    ) -> list[Earlier]:
        """Return builds in order of how many leaves differ from those of a payload."""
        mine = parts_of(payload)
        return sorted(earlier, key=lambda build: len(mine ^ self._parts_of(build)))

    def _parts_of(self, build: Earlier) -> frozenset[str]:
        key = id(build)
        if key not in self._parts:
            self._parts[key] = parts_of(build.payload)
        return self._parts[key]


def parts_of(payload: Mapping[str, Any]) -> frozenset[str]:
    """Return the leaves of a payload as texts, without those of `bind`, which repeat `deps`."""
    found: list[str] = []
    pending: list[tuple[str, Any]] = [(key, payload[key]) for key in payload if key != "bind"]
    while pending:
        path, value = pending.pop()
        if isinstance(value, dict):
            pending += [(f"{path}.{key}", item) for key, item in value.items()]
        elif isinstance(value, list | tuple):
            place = "" if path == "deps" else None
            pending += [
                (f"{path}[{number if place is None else place}]", item)
                for number, item in enumerate(value)
            ]
        else:
            found.append(f"{path}={value!r}")
    return frozenset(found)


def nearest_change(
    payload: str,
    earlier: Sequence[Earlier],
    cause_in: Callable[[str], str],
    version: str | None = None,
    neighbours: Neighbours | None = None,
) -> IdentityChanged | None:
    """Return how a payload differs from the nearest of the earlier builds; None without any.

    The nearest one has the fewest differing leaves; among equals, the latest.

    Args:
        payload: the canonical text that is hashed today.
        earlier: builds of the same name, the latest first.
        cause_in: takes the id of one of today's dependencies, and returns in words what changed
            there, or an empty text.
        version: the step's version, which is no part of the payload; None if it has none.
        neighbours: share one among all targets of a plan, so that no build is split twice.

    """
    now = json.loads(payload)
    best: tuple[Earlier, list[Difference]] | None = None
    for build in (neighbours or Neighbours()).nearest_first(now, earlier)[:_COMPARED]:
        known = now
        if not build.built.run:  # Marin's record, which does not say what is bound to what
            known = {key: part for key, part in now.items() if key != "bind"}
        found = without_echoes(differences(build.payload, known))
        if best is None or len(found) < len(best[1]):
            best = build, found
    if best is None:
        return None
    built, found = best[0].built, best[1]
    changes = _own_first(_change(difference, cause_in) for difference in found)
    before = built.target.rpartition("@")[2]
    if version not in (None, before):
        changes.insert(0, Change("version", before, version, f"version {before} -> {version}"))
    return IdentityChanged(tuple(changes), built.target, built.run, built.worker, built.end)


def changes_between(old: Mapping[str, Any] | None, payload: str) -> tuple[Change, ...]:
    """Return how a payload differs from an older one; empty if `old` is None.

    A change of a dependency has no text about what changed there.
    """
    if old is None:
        return ()
    found = without_echoes(differences(old, json.loads(payload)))
    return tuple(_own_first(_change(difference, lambda _: "") for difference in found))


def describe_change(change: Change) -> str:
    """Return a change in words with its cause, as a plan says it, but with more of long values."""
    because = f": {change.because}" if change.because else ""
    if "..." not in change.text:
        return f"{change.text}{because}"
    difference = without_nulls(change.path, change.old, change.new)
    return describe_difference(difference, WIDE) + because


def _own_first(changes: Iterable[Change]) -> list[Change]:
    """Return the changes of the step itself, and after them those of its dependencies."""
    return sorted(changes, key=lambda change: change.path.startswith("deps."))


def _change(difference: Difference, cause_in: Callable[[str], str]) -> Change:
    is_dependency = difference.path.startswith("deps.")
    known = is_dependency and isinstance(difference.new, str)
    return Change(
        difference.path,
        None if difference.old is ABSENT else difference.old,
        None if difference.new is ABSENT else difference.new,
        describe_difference(difference),
        cause_in(difference.new) if known else "",
    )
