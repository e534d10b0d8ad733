"""Chains of steps: the longest one, and which of the steps that are ready starts first. Pure.

`apply` starts them in this order, and `estimate` foresees it: so it is decided here for both.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence


def ranks(needs: Sequence[Sequence[int]], seconds: Sequence[float | None]) -> list[float]:
    """Return how long the longest chain takes that each step begins, itself included.

    Of the steps that are ready, the one with the highest rank starts first, of equal ones the
    first. A step of unknown duration counts like the median of the others, so that neither is
    forgotten for the other's sake. If none is known, ranks are numbers of steps.

    Args:
        needs: what each step needs, as positions in this sequence; all lower than its own.
        seconds: how long each one takes; None if that is not known.

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
        needs: what each step needs, as positions in this sequence; all lower than its own.
        seconds: how long each one takes.

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
