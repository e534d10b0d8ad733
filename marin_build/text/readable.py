"""Text for people: amounts with one unit, nothing that moves a cursor, and nearby names."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence


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


LONGEST_MESSAGE = 10_000
"""Characters of the longest message that a document or an event holds."""
_LONGEST_LINE = 500


def first_line(text: str) -> str:
    """Return the first line of a step's message, cut if long, with control characters escaped."""
    lines = text[: 2 * LONGEST_MESSAGE].splitlines()
    return shortened(printable(lines[0]), _LONGEST_LINE) if lines else ""


def printable(text: str) -> str:
    """Return a text with control characters and changes of the reading direction escaped."""
    if text.isprintable():
        return text
    return "".join(
        char if char.isprintable() else char.encode("unicode_escape").decode() for char in text
    )


def visible(text: str) -> str:
    """Return a text of several lines whose lines are printable; only tabs in them stay."""
    if text.replace("\n", "").replace("\t", "").isprintable():
        return text
    return "".join(char if char in "\n\t" else printable(char) for char in text)


def shortened(text: str, length: int = 200) -> str:
    """Return a text of at most so many characters; a longer one says how much is left out."""
    if len(text) <= length:
        return text
    left = len(text) - length
    return f"{text[: length * 3 // 4]}... ({left} characters left out) ...{text[-length // 4 :]}"


def some_of(names: Sequence[str], most: int = 3) -> str:
    """Return names for people, of many the first ones: `a, b, c and 4 more`."""
    shown = ", ".join(names[:most])
    return shown if len(names) <= most else f"{shown} and {len(names) - most} more"


def near_misses(name: str, known: Iterable[str], count: int = 3) -> list[str]:
    """Return the `count` known names nearest to `name`, best first."""
    import difflib

    known = list(known)
    same = [each for each in known if each != name and each.casefold() == name.casefold()]
    near = difflib.get_close_matches(name, known, n=count, cutoff=0.5)
    return list(dict.fromkeys([*same, *near]))[:count]


def did_you_mean(name: str, known: Iterable[str]) -> str | None:
    """Return a hint that names what `name` may have been meant to be, or None."""
    near = near_misses(name, known)
    if not near:
        return None
    return "did you mean " + " or ".join(f"`{candidate}`" for candidate in near) + "?"
