"""Durations, costs and sizes in words: one unit each, as many digits as tell something."""

from __future__ import annotations

_MINUTE, _HOUR, _DAY = 60.0, 3600.0, 86400.0
_UNITS = ((1.0, "s", 60.0), (_MINUTE, "min", 60.0), (_HOUR, "h", 72.0))
"""Units of time in seconds, and the amount from which on the next one is used; the last is days."""


def duration_text(seconds: float) -> str:
    """Return a duration in one unit, for people: `0.4 s`, `40 s`, `12 min`, `2.1 h`, `4.5 d`."""
    if 0 < seconds < 0.05:  # noqa: PLR2004 - what would be shown as 0
        return "<0.1 s"
    for unit, name, limit in _UNITS:
        amount = _rounded(seconds / unit)
        if amount < limit:
            return f"{_plain(amount)} {name}"
    return f"{_plain(_rounded(seconds / _DAY))} d"


def cost_text(cost: float) -> str:
    """Return US dollars for people: `$0.38`, `$38`, `$2,410`."""
    if 0 < cost < 0.005:  # noqa: PLR2004 - what would be shown as 0
        return "<$0.01"
    return f"${cost:.2f}" if round(cost, 2) < 10 else f"${cost:,.0f}"  # noqa: PLR2004


def bytes_text(size: int) -> str:
    """Return a number of bytes for people: `512 B`, `1.5 KiB`, `412 GiB`."""
    amount, unit = float(size), "B"
    for larger in ("KiB", "MiB", "GiB", "TiB", "PiB"):
        if amount < 1000:  # noqa: PLR2004 - no more than three digits
            break
        amount, unit = amount / 1024, larger
    return f"{amount:.1f} {unit}" if unit != "B" and amount < 9.95 else f"{amount:,.0f} {unit}"  # noqa: PLR2004


def _rounded(amount: float) -> float:
    """Return an amount with one decimal below 10, else whole."""
    return round(amount, 1) if amount < 9.95 else float(round(amount))  # noqa: PLR2004


def _plain(amount: float) -> str:
    return f"{amount:,.0f}" if amount == round(amount) else f"{amount:.1f}"
