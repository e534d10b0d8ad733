"""Metrics and attributes as people see them in a table, on a terminal and on a page. Pure."""

from __future__ import annotations

import json
import re
from decimal import Decimal
from typing import Any

from marin_build.text.readable import printable, shortened

_DIGITS = 6
"""Significant digits of a metric: enough to compare."""
_MOST_DIGITS_OF_A_COUNT = 15
_DIGEST = re.compile(r"[0-9a-f]{64}")
_DIGEST_SHOWN = 12
_LONGEST = 200


def number_text(number: float) -> str:
    """Return a number for people: counts whole, other numbers with six significant digits."""
    if isinstance(number, bool):
        return str(number).lower()
    if isinstance(number, int):
        whole = str(number)
        if len(whole) <= _MOST_DIGITS_OF_A_COUNT:
            return whole
        try:
            return f"{float(number):.{_DIGITS}g}"
        except OverflowError:
            return f"{Decimal(number):.{_DIGITS}g}"
    return f"{number:.{_DIGITS}g}"


def attribute_text(value: Any) -> str:
    """Return an attribute for people; a text in quotes only where it could be another value."""
    if isinstance(value, str):
        if _DIGEST.fullmatch(value):
            return value[:_DIGEST_SHOWN]
        return shortened(printable(value if _is_clear(value) else json.dumps(value)), _LONGEST)
    return shortened(printable(json.dumps(value, ensure_ascii=False)), _LONGEST)


def _is_clear(text: str) -> bool:
    """Return whether a text without quotes can be read as nothing but a text."""
    if not text or text != text.strip() or text[0] in '"[{-':
        return False
    try:
        json.loads(text)
    except ValueError:
        return True
    return False
