"""The shape of a graph: its longest chain, upstream and downstream nodes, levels. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Container, Iterable, Mapping, Sequence

    from marin_build.pipeline.targets import Targets

T = TypeVar("T")


def ranks(needs: Sequence[Sequence[int]], seconds: Sequence[float | None]) -> list[float]:
    """Return the rank of each step: the duration of the longest chain that begins with it.

    Of the steps that are ready, the scheduler starts the one with the highest rank first. A step of
    unknown duration counts as the median of the known ones, so that neither kind of step always
    starts last. If no duration is known, each step counts 1.

    Args:
        needs: the dependencies of each step, as positions in this sequence, lower than its own.
        seconds: how long each step takes; None if that is not known.

    """
    known = sorted(value for value in seconds if value is not None)
    typical = known[len(known) // 2] if known else 1.0
    found = [typical if value is None else value for value in seconds]
    highest = [0.0] * len(found)
    for i in reversed(range(len(found))):
        found[i] += highest[i]
        for dep in needs[i]:
            highest[dep] = max(highest[dep], found[i])
    return found


def longest_chain(
    needs: Sequence[Sequence[int]], seconds: Sequence[float]
) -> tuple[list[int], float]:
    """Return the steps of the chain that takes longest, the first one first, and its seconds.

    Args:
        needs: the dependencies of each step, as positions in this sequence, lower than its own.
        seconds: how long each step takes.

    """
    ends: list[float] = []
    for above, own in zip(needs, seconds, strict=True):
        ends.append(max([ends[dep] for dep in above], default=0.0) + own)
    if not ends:
        return [], 0.0
    path = [max(range(len(ends)), key=ends.__getitem__)]
    while above := needs[path[-1]]:
        path.append(max(above, key=ends.__getitem__))
    return path[::-1], ends[path[0]]


def dependents(needs: Sequence[Sequence[int]]) -> list[list[int]]:
    """Return the dependents of each step, given its dependencies; all are positions in `needs`."""
    found: list[list[int]] = [[] for _ in needs]
    for index, above in enumerate(needs):
        for dep in above:
            found[dep].append(index)
    return found


def waves(needs: Mapping[T, Iterable[T]]) -> list[list[T]]:
    """Return steps in groups: what a step needs is in the groups before its own.

    Args:
        needs: what each step needs; the steps in topological order. What is no step itself is left
            out.

    """
    wave: dict[T, int] = {}
    for step, above in needs.items():
        wave[step] = max((wave[need] + 1 for need in above if need in wave), default=0)
    groups: list[list[T]] = [[] for _ in range(max(wave.values(), default=-1) + 1)]
    for step, number in wave.items():
        groups[number].append(step)
    return groups


def upstream(targets: Targets, of: Iterable[int]) -> set[int]:
    """Return `of` and everything they need."""
    return _reached(targets.deps, of)


def downstream(targets: Targets, of: Iterable[int]) -> set[int]:
    """Return `of` and everything that needs them."""
    return _reached(dependents(targets.deps), of)


def _reached(links: Sequence[Sequence[int]], start: Iterable[int]) -> set[int]:
    found = set(start)
    pending = list(found)
    for index in pending:  # and what is appended meanwhile
        for link in links[index]:
            if link not in found:
                found.add(link)
                pending.append(link)
    return found


def levels_below(
    deps: Sequence[Sequence[int]],
    start: Iterable[int],
    count: int,
    seen: Container[int] = (),
    known: Container[int] = (),
) -> list[int]:
    """Return the targets of the first `count` levels from `start` downwards, level by level.

    Args:
        deps: for every target, what it needs.
        start: the first level.
        count: how many levels, the first one included.
        seen, known: targets that are not returned; below them the walk goes on only from `start`.

    """
    level: Iterable[int] = list(start)
    found = dict.fromkeys([i for i in level if i not in seen and i not in known])
    for _ in range(count - 1):
        level = dict.fromkeys(
            [
                dep
                for i in level
                for dep in deps[i]
                if dep not in found and dep not in seen and dep not in known
            ]
        )
        if not level:
            break
        found |= level
    return list(found)
