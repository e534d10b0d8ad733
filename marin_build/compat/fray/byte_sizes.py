"""Sizes of memory and disk, as fray writes them: `16g`."""

from __future__ import annotations

from marin_build.pipeline.amounts import amount_bytes

_UNITS = (("t", 1 << 40), ("g", 1 << 30), ("m", 1 << 20), ("k", 1 << 10))
_ROUNDING = 1e-9


def scaled_size(size: str, factor: float) -> str:
    """Return a multiple of a size in the largest unit that it fills: `8g` for a half of `16g`.

    Raises:
        ValueError: the size is not readable.

    """
    if factor == 1:
        return size
    amount = amount_bytes(size)
    if amount is None:
        raise ValueError(f"`{size}` is not an amount of bytes; write it like `16g`")
    scaled = amount * factor
    for suffix, unit in _UNITS:
        if scaled >= unit:
            value = scaled / unit
            whole = round(value)
            return f"{whole}{suffix}" if abs(value - whole) < _ROUNDING else f"{value:g}{suffix}"
    return f"{round(scaled)}B"
