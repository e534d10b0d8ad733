"""What changed between two configurations, a line for each value. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from marin_build.plan.payload_diff import ABSENT, differences

if TYPE_CHECKING:
    from marin_build.plan.payload_diff import Difference


_MOST_LINES = 20
_WHOLE = "config"


def config_changes(old: Any, new: Any) -> list[str]:
    """Return what differs between two values of JSON: `model.lr: 1 -> 2`, `new: (added) 3`.

    At most 20 lines, and one that counts the others.
    """
    lines = [_line(each) for each in differences({_WHOLE: old}, {_WHOLE: new})]
    more = len(lines) - _MOST_LINES
    return [*lines[:_MOST_LINES], *([f"and {more} more"] if more > 0 else [])]


def _line(difference: Difference) -> str:
    path = difference.path.removeprefix(_WHOLE).removeprefix(".") or "(root)"
    if difference.old is ABSENT:
        return f"{path}: (added) {difference.new!r}"
    if difference.new is ABSENT:
        return f"{path}: {difference.old!r} (removed)"
    return f"{path}: {difference.old!r} -> {difference.new!r}"
