"""Which reused targets drifted, grouped by how; the line in which `apply` says so. Pure."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, get_args

from marin_build.plan.drift import DriftKind
from marin_build.quick_dataclass import dataclass
from marin_build.text.readable import printable

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from marin_build.pipeline.targets import Targets
    from marin_build.plan.drift import Drift


MOST = 100
"""How many targets of one group an event names."""
_SHOWN = 5
"""How many the line names; it counts the others."""
_BUILT: Mapping[DriftKind, str] = {
    "identity": "with another identity than is declared",
    "code": "by other code than today's",
    "upstream": "before other code rebuilt what they need",
    "environment": "in another environment than today's",
}


@dataclass(frozen=True, slots=True)
class DriftedTargets:
    """Reused targets that drifted in the same way.

    Args:
        kind: what weighs most in how they drifted.
        count: how many there are.
        targets: the ids of the first 100, in the order of the pipeline.
        names: their names; the id where several targets share a name.

    """

    kind: DriftKind
    count: int
    targets: tuple[str, ...]
    names: tuple[str, ...]


def drifted_targets(targets: Targets, drift: Mapping[int, Drift]) -> tuple[DriftedTargets, ...]:
    """Return the targets that drifted by how they did, what weighs most first.

    Args:
        targets: the pipeline's targets.
        drift: how some of them drifted, by index.

    """
    found: dict[DriftKind, list[int]] = {}
    for index, each in drift.items():
        found.setdefault(each.kind, []).append(index)
    if not found:
        return ()
    count = Counter(target.name for target in targets.all)
    groups: list[DriftedTargets] = []
    for kind in get_args(DriftKind):
        if indices := found.get(kind):
            first = [targets.all[index] for index in indices[:MOST]]
            names = tuple(each.name if count[each.name] == 1 else each.id for each in first)
            groups.append(
                DriftedTargets(kind, len(indices), tuple(each.id for each in first), names)
            )
    return tuple(groups)


def drift_text(groups: Sequence[DriftedTargets]) -> str:
    """Return how many targets drifted, how, and which: `1 target was built by other code ...`."""
    parts = [_part(group, is_first=not number) for number, group in enumerate(groups)]
    return printable("; ".join(parts))


def _part(group: DriftedTargets, *, is_first: bool) -> str:
    left = group.count - len(group.names[:_SHOWN])
    names = ", ".join(group.names[:_SHOWN]) + (f" and {left} more" if left else "")
    built = _BUILT[group.kind]
    if group.count == 1:
        built = built.replace("they need", "it needs")
    verb = " target was built" if group.count == 1 else " targets were built"
    return f"{group.count}{verb if is_first else ''} {built}: {names}"
