"""How long to wait before another try: twice as long each time, up to a limit."""

from __future__ import annotations

_LARGEST_EXPONENT = 1023
"""The largest power of 2 that a float holds is 2 to this number."""


def doubled(number: int, first: float, longest: float) -> float:
    """Return the seconds to wait before a further try.

    Args:
        number: which further try it is, from 1.
        first: seconds before the first one.
        longest: seconds that no wait exceeds.

    """
    return min(first * 2.0 ** min(number - 1, _LARGEST_EXPONENT), longest)


def spread(seconds: float) -> float:
    """Return a random part of a wait, at least half of it.

    Programs that failed at the same time then try again at different times.
    """
    import random

    return seconds * random.uniform(0.5, 1)  # noqa: S311 - no secret
