"""Differences of one target in words; what repeats is said once. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from marin_build.plan.payload_diff import ABSENT, describe_difference, older_name

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from marin_build.plan.payload_diff import Difference


_MOST_NAMES = 3
_NEEDS = "needs "


def difference_texts(
    leaves: Iterable[Difference], causes: Mapping[str, str] | None = None
) -> list[str]:
    """Return differences for people, a text each; dependencies with one cause are one text.

    `needs a, b, c and 42 more, which changed: attrs.lr 0.1 -> 0.2`

    Args:
        leaves: what differs.
        causes: id of a dependency -> what changed there, in words.

    """
    texts: list[str] = []
    groups: dict[tuple[str, str], list[str]] = {}
    for leaf in leaves:
        if not leaf.path.startswith("deps."):
            texts.append(describe_difference(leaf))
            continue
        name = leaf.path.removeprefix("deps.")
        cause = (causes or {}).get(leaf.new, "") if isinstance(leaf.new, str) else ""
        tail = f": {cause}" if cause else ""
        if leaf.old is ABSENT:
            key, shown = (_NEEDS, f", which it did not{tail}"), str(leaf.new)
        elif leaf.new is ABSENT:
            key, shown = ("no longer needs ", ""), str(leaf.old)
        elif (was := older_name(leaf)) is not None:
            key, shown = (_NEEDS, f", renamed from {was}"), name
        else:
            key, shown = (_NEEDS, f", which changed{tail}"), name
        groups.setdefault(key, []).append(shown)
    return texts + [f"{head}{_listed(names)}{tail}" for (head, tail), names in groups.items()]


def _listed(names: Sequence[str]) -> str:
    """Return `a`, `a (3 targets)` or `a, b, c and 42 more`."""
    distinct = list(dict.fromkeys(names))
    if len(distinct) == 1:
        return names[0] + (f" ({len(names)} targets)" if len(names) > 1 else "")
    more = len(distinct) - _MOST_NAMES
    if more <= 0:
        return f"{', '.join(distinct[:-1])} and {distinct[-1]}"
    return f"{', '.join(distinct[:_MOST_NAMES])} and {more} more"
