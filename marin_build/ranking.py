"""Which of the steps that are ready starts first: the one with the longest chain behind it. Pure.

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
