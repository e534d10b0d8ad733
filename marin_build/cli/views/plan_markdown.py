"""A plan as Markdown: for a comment on a pull request."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from marin_build.cli.views.plan_text import radius_tables, row_cells

if TYPE_CHECKING:
    from collections.abc import Sequence

    from marin_build.blast_radius import BlastRadius
    from marin_build.cli.views.plan_rows import Shown

_HEADINGS = ("", "target", "why", "time", "on", "cost")


def plan_markdown(shown: Shown) -> str:
    """Return a plan in GitHub's Markdown; what comes from the pipeline stands as code in it."""
    lines = [f"**{shown.summary}**", ""]
    if shown.rows:
        cells = [row_cells(row) for row in shown.rows]
        used = [i for i in range(len(_HEADINGS)) if any(row[i] for row in cells)]
        lines += table([_HEADINGS[i] for i in used], [[row[i] for i in used] for row in cells])
    if shown.hidden:
        lines += [f"{shown.hidden} reused, not shown", ""]
    lines += [f"> warning: {code(warning)}" for warning in shown.warnings]
    if shown.warnings:
        lines.append("")
    if shown.next:
        lines.append(f"{shown.next}: {code(shown.command)}" if shown.command else shown.next)
    return "\n".join(lines).rstrip() + "\n"


def radius_markdown(radius: BlastRadius) -> str:
    """Return a blast radius in Markdown."""
    lines = [line for head, *rest in radius_tables(radius) for line in ["", *table(head, rest)]]
    return "\n".join(lines).rstrip() + "\n"


def table(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """Return a table, every cell as code, and an empty line after it."""
    lines = [headings, ["---"] * len(headings), *([code(cell) for cell in row] for row in rows)]
    return [*(f"| {' | '.join(line)} |" for line in lines), ""]


def code(text: str) -> str:
    """Return a text as code: no Markdown, HTML or mention in it means anything."""
    if not text:
        return ""
    longest = max((len(run) for run in re.findall("`+", text)), default=0)
    fence = "`" * (longest + 1)
    pad = " " if text.startswith("`") or text.endswith("`") else ""
    inside = re.sub(r"\s", " ", text.strip()).replace("|", r"\|")
    return f"{fence}{pad}{inside}{pad}{fence}"
