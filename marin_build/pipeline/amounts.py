"""Amounts of memory and disk as authors write them, and the one form that the rest reads."""

from __future__ import annotations

import re

_WRITTEN = re.compile(r"\s*([0-9]+(?:\.[0-9]+)?)\s*([a-z]*)\s*", re.ASCII | re.IGNORECASE)
_POWERS = {"": 0, "b": 0, "k": 1, "m": 2, "g": 3, "t": 4}
_SUFFIXES = ("", "Ki", "Mi", "Gi", "Ti")


def plain_amount(written: object) -> str | None:
    """Return an amount above 0 with a binary suffix, `16Gi`; None if there is no amount in it.

    Every unit is binary, as in Marin: `16g`, `16G`, `16GB` and `16Gi` all are 16 GiB. A number
    without a unit is bytes.
    """
    if not amount_bytes(written) or (found := _number_and_power(written)) is None:
        return None
    number, power = found
    # The suffix Ki is the smallest that every engine knows: a started KiB counts whole.
    return number + _SUFFIXES[power] if power else f"{-(-int(float(number)) // 1024)}Ki"


def amount_bytes(written: object) -> int | None:
    """Return how many bytes an amount is; None if there is no amount in it."""
    if (found := _number_and_power(written)) is None:
        return None
    number, power = found
    return int((float(number) if "." in number else int(number)) * 1024**power)


def _number_and_power(written: object) -> tuple[str, int] | None:
    """Return the digits of an amount, and the power of 1024 that its unit means."""
    if not isinstance(written, str) or (found := _WRITTEN.fullmatch(written)) is None:
        return None
    number, unit = found.group(1), found.group(2).lower()
    power = _POWERS.get(unit[:1])
    is_unit = unit in {"", "b"} or (power and unit[1:] in {"", "b", "i", "ib"})
    return (number, power) if is_unit and power is not None else None
