"""The numbers in what a step returned: its metrics. Pure."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from marin_build.plan.metrics.leaves import each_once, leaves
from marin_build.text.secret_shapes import masked_text

if TYPE_CHECKING:
    from collections.abc import Iterator


Number = int | float
"""A number, or a truth value, which counts as 0 or 1."""
VALUE = "value"
"""What the number is called that is all a step returned."""
_WRITTEN = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}
"""How artifacts write what JSON has no number for."""


def returned_numbers(artifact: Any) -> dict[str, Number]:
    """Return name -> number, of all numbers in nested objects: `{"eval": {"acc": 1}}`: `eval.acc`.

    Truth values are among them, and the texts that stand for NaN and infinity. Texts, nulls and
    lists are no metrics: a table has no place for a curve.

    Args:
        artifact: JSON values, as `parse_json` returns them.

    """
    return each_once(_numbers(artifact))


def _numbers(artifact: Any) -> Iterator[tuple[str, Number]]:
    for name, value in leaves(artifact):
        number = _WRITTEN.get(value) if isinstance(value, str) else value
        if isinstance(number, int | float):
            yield masked_text(name) or VALUE, number


def is_missing(number: Number | None) -> bool:
    """Return whether there is no number to compare: none at all, or NaN."""
    return number is None or number != number  # noqa: PLR0124 - only NaN is not itself


def difference(old: Number | None, new: Number | None) -> Number | None:
    """Return how much a number grew; None where that has no meaning, as for truth values."""
    if is_missing(old) or is_missing(new) or isinstance(old, bool) or isinstance(new, bool):
        return None
    assert old is not None
    assert new is not None
    try:
        grown = new - old
    except OverflowError:  # a whole number that no float holds
        return None
    return None if is_missing(grown) else grown
