"""Moments: as documents write them, and as people read them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from datetime import datetime


Precision = Literal["minutes", "seconds", "milliseconds"]
_SHOWN = {"minutes": 16, "seconds": 19, "milliseconds": 23}
"""How many characters of `2026-11-22T09:10:11.123+00:00` are shown."""


def stamp(moment: datetime | float, precision: Precision = "milliseconds") -> str:
    """Return a moment as documents write it: ISO 8601 in UTC.

    Args:
        moment: a date with a time zone, or seconds since the epoch.
        precision: the smallest unit in the text.

    """
    if isinstance(moment, int | float):
        from datetime import UTC, datetime

        return datetime.fromtimestamp(moment, UTC).isoformat(timespec=precision)
    if moment.tzname() != "UTC":
        from datetime import UTC

        moment = moment.astimezone(UTC)
    return moment.isoformat(timespec=precision)


def stamp_now(precision: Precision = "milliseconds") -> str:
    """Return the present moment as documents write it."""
    from datetime import UTC, datetime

    return stamp(datetime.now(UTC), precision)


def moment_text(written: str, precision: Precision = "seconds") -> str:
    """Return a moment that a document wrote for people: `2026-11-22 09:10:11 UTC`.

    Documents write moments in UTC (`stamp`); an empty text stays empty.
    """
    shown = written[: _SHOWN[precision]].replace("T", " ")
    return f"{shown} UTC" if shown else ""
