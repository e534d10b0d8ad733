"""What changed since the nearest earlier build of the same name. Pure."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from marin_build.leaves import ABSENT, describe_difference, differences, without_echoes
from marin_build.reasons import Change, IdentityChanged

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from marin_build.leaves import Difference
    from marin_build.snapshot import Earlier


def nearest_change(
    payload: str,
    earlier: Sequence[Earlier],
    cause_in: Callable[[str], str],
    version: str | None = None,
) -> IdentityChanged | None:
    """Return how a payload differs from the nearest of the earlier builds; None without any.

    The nearest one has the fewest differing leaves; among equals, the latest.

    Args:
        payload: what is hashed today.
        earlier: builds of the same name, the latest first.
        cause_in: the id of a dependency of today -> what changed there in words, or empty.
        version: of a step that has one: it is no part of the payload.

    """
    now = json.loads(payload)
    best: tuple[Earlier, list[Difference]] | None = None
    for build in earlier:
        found = without_echoes(differences(build.payload, now))
        if best is None or len(found) < len(best[1]):
            best = build, found
    if best is None:
        return None
    build, found = best
    changes = [_change(difference, cause_in) for difference in found]
    # What the author changed himself comes first; what came from above, after it.
    changes.sort(key=lambda change: change.path.startswith("deps."))
    before = build.target.rpartition("@")[2]
    if version not in (None, before):
        changes.insert(0, Change("version", before, version, f"version {before} -> {version}"))
    return IdentityChanged(tuple(changes), build.target, build.run, build.worker, build.end)


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
