"""How many bytes lie under a prefix, by group: by the leading segments of names. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from marin_build.quick_dataclass import dataclass

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from marin_build.plan.inventory import InventoryTarget


@dataclass(frozen=True, slots=True)
class Usage:
    """The outputs of one group.

    Args:
        group: the segments that their names begin with; empty: all of them.
        outputs, size: how many, and their bytes.
        older, older_size: how many of them the pipeline does not declare, and their bytes; None: it
            was not asked.
        unknown: how many of them have no known size: they count as nothing.

    """

    group: str
    outputs: int
    size: int
    older: int | None
    older_size: int | None
    unknown: int = 0


def usage_of(
    targets: Iterable[InventoryTarget], declared: Collection[str] | None, group: str = ""
) -> Usage:
    """Return the usage of some outputs.

    Args:
        targets: the outputs.
        declared: the output paths that the pipeline declares; None: it was not asked.
        group: what the outputs are called.

    """
    outputs = list(targets)
    older = None if declared is None else [each for each in outputs if each.path not in declared]
    return Usage(
        group,
        len(outputs),
        sum(each.size_here for each in outputs),
        None if older is None else len(older),
        None if older is None else sum(each.size_here for each in older),
        sum(each.size is None for each in outputs),
    )


def usage_by_group(
    targets: Iterable[InventoryTarget],
    declared: Collection[str] | None,
    within: str = "",
    depth: int = 1,
) -> list[Usage]:
    """Return the usage of each group, the largest first.

    Args:
        targets: the outputs; those of other groups than `within` are left out.
        declared: as for `usage_of`.
        within: the group that is looked into; empty: all names.
        depth: by how many more segments the outputs are grouped; 0: all in one group.

    """
    groups: dict[str, list[InventoryTarget]] = {}
    for each in targets:
        if is_within(each.name, within):
            groups.setdefault(_group(each.name, within, depth), []).append(each)
    found = [usage_of(outputs, declared, group) for group, outputs in groups.items()]
    return sorted(found, key=lambda usage: (-usage.size, usage.group))


def is_within(name: str, group: str) -> bool:
    """Return whether a name begins with the segments of a group."""
    return not group or f"{name}/".startswith(f"{group.rstrip('/')}/")


def _group(name: str, within: str, depth: int) -> str:
    count = len(within.rstrip("/").split("/")) if within else 0
    return "/".join(name.split("/")[: count + depth])
