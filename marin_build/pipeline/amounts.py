"""Amounts of memory and disk as authors write them, and the one form that the rest reads."""

from __future__ import annotations

import re
from fractions import Fraction

_WRITTEN = re.compile(r"\s*([0-9]+(?:\.[0-9]+)?)\s*([a-z]*)\s*", re.ASCII | re.IGNORECASE)
_STEPS = {"k": 1, "m": 2, "g": 3, "t": 4}
_NAMES = ("", "Ki", "Mi", "Gi", "Ti")


def plain_amount(written: object) -> str | None:
    """Return an amount with a binary suffix, `16Gi`; None if there is no amount in it.

    Every unit is binary, as in Marin: `16g`, `16G`, `16GB` and `16Gi` all are 16 GiB. A number
    without a unit is bytes.
    """
    if not isinstance(written, str) or (found := _WRITTEN.fullmatch(written)) is None:
        return None
    number, unit = found.group(1), found.group(2).lower()
    if Fraction(number) == 0:
        return None
    if unit in {"", "b"}:
        # The suffix Ki is the smallest that every engine knows; a started KiB counts whole.
        return f"{-(-Fraction(number) // 1024)}Ki"
    step = _STEPS.get(unit[0])
    if step is None or unit[1:] not in {"", "b", "i", "ib"}:
        return None
    return number + _NAMES[step]
