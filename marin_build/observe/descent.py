"""The walk of a snapshot: from the requested targets down to what is built, in few batches. Pure.

Below a built target nothing is read. After a level that is not built, the next batch takes 2, 4,
8 ... levels at once, so that a deep chain does not cost a round trip a step.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from marin_build.plan.graph_shape import levels_below

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Sequence


_WIDEST = 1024


def descend(
    deps: Sequence[Sequence[int]],
    requested: Iterable[int],
    read: Callable[[list[int]], object],
    is_open: Callable[[int], bool],
    *,
    seen: Collection[int],
    known: Collection[int] = (),
    below: bool = True,
) -> None:
    """Read the requested targets, and below open ones what those need.

    Args:
        deps: for every target, what it needs.
        requested: where to begin.
        read: reads targets; they join `seen`.
        is_open: whether a target that was read is to be built.
        seen: what was read.
        known: targets that were looked at before, with what they need; not read again.
        below: read what open ones need, too.

    """
    frontier, width = [i for i in dict.fromkeys(requested) if i not in known], 1
    while frontier:
        read(levels_below(deps, frontier, width, seen, known))
        unbuilt = [i for i in frontier if is_open(i)]
        frontier = _next_frontier(deps, unbuilt, is_open, seen, known) if below else []
        width = min(2 * width, _WIDEST) if unbuilt else 1


def needed(
    deps: Sequence[Sequence[int]],
    requested: Iterable[int],
    is_open: Callable[[int], bool],
    *,
    known: Collection[int] = (),
) -> set[int]:
    """Return the targets that a descent needed, without those it only read ahead."""
    pending = [i for i in dict.fromkeys(requested) if i not in known]
    found = set(pending)
    while pending:
        index = pending.pop()
        if is_open(index):
            fresh = [dep for dep in deps[index] if dep not in found and dep not in known]
            found.update(fresh)
            pending.extend(fresh)
    return found


def _next_frontier(
    deps: Sequence[Sequence[int]],
    unbuilt: Iterable[int],
    is_open: Callable[[int], bool],
    seen: Collection[int],
    known: Collection[int],
) -> list[int]:
    """Return the dependencies that must be asked for next, walking over what was read ahead."""
    frontier: dict[int, None] = {}
    pending, walked = list(unbuilt), set[int]()
    while pending:
        for dep in deps[pending.pop()]:
            if dep in walked or dep in known:
                continue
            walked.add(dep)
            if dep not in seen:
                frontier[dep] = None
            elif is_open(dep):
                pending.append(dep)
    return list(frontier)
