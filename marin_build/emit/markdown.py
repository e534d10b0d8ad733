"""Values in GitHub's Markdown: as code, so that nothing in them has an effect. Pure.

Inside a code span Markdown knows no links, HTML, mentions or `closes #1`. A span ends at the first
run of as many back-ticks as it began with, whatever stands before it: no escape helps there.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from marin_build.text.readable import printable

if TYPE_CHECKING:
    from collections.abc import Sequence


_LONGEST_FENCE = 8
"""Back-ticks around code, at most: renderers take runs of 80 or more for plain text."""


def table(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """Return a table, every cell as code, and an empty line after it.

    A `|` ends a cell even inside code, unless a backslash precedes it; the table removes that one.
    """
    cells = [[code(cell).replace("|", r"\|") for cell in row] for row in rows]
    lines = [headings, ["---"] * len(headings), *cells]
    return [*(f"| {' | '.join(line)} |" for line in lines), ""]


def code(text: str) -> str:
    """Return a text as code in one line; empty for one without any character that is seen.

    White space becomes single spaces, what is not printable is escaped, and of a text with
    back-tick runs of all lengths that a fence may have, back-ticks become apostrophes.
    """
    inside = printable(" ".join(text.split()))
    if not inside:
        return ""
    runs = {len(run) for run in re.findall("`+", inside)}
    fence = next((n for n in range(1, _LONGEST_FENCE + 1) if n not in runs), 0)
    if fence == 0:
        fence, inside = 1, inside.replace("`", "'")
    pad = " " if inside.startswith("`") or inside.endswith("`") else ""
    return f"{'`' * fence}{pad}{inside}{pad}{'`' * fence}"
