"""A plan as the comment of a review: a line that says it all, and the rest folded. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from marin_build.emit.markdown import code, table
from marin_build.emit.plan_text import HEADINGS, row_cells
from marin_build.plan.plan_summary import RUN_VERBS
from marin_build.text.readable import cost_text, duration_text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from marin_build.emit.plan_rows import Row, Shown

MARKER = "<!-- marin-build: plan -->"
"""The first line, by which a job finds the comment that it edits."""
LONGEST = 60_000
"""Characters of a comment: GitHub refuses more than 65,536."""
_NAMED_CAUSES = 2


def review_comment(
    shown: Shown, seconds: float | None, cost: float | None, graph: str = "", note: str = ""
) -> str:
    """Return a plan in GitHub's Markdown, never longer than a comment may be.

    Args:
        shown: the plan for people.
        seconds: how long it may take; None if that is not known.
        cost: US dollars; None if that is not known.
        graph: what would run, in Mermaid; empty: none is shown.
        note: a sentence below the headline, in Markdown; empty: none.

    """
    head = [MARKER, f"**{_headline(shown, seconds, cost)}**", "", *([note, ""] if note else [])]
    tail = [f"> warning: {code(warning)}" for warning in shown.warnings]
    if shown.command:
        tail += ["", f"{shown.next}: {code(shown.command)}"]
    drawn = ["<details><summary>graph</summary>", "", "```mermaid", graph.rstrip(), "```", ""]
    drawing = [*drawn, "</details>", ""] if graph else []
    for with_graph in (drawing, []):
        text = "\n".join([*head, *_details(shown, len(shown.rows)), *with_graph, *tail])
        if len(text) < LONGEST:
            return text.rstrip() + "\n"
    tail = tail[-2:] if shown.command else []
    fixed = len("\n".join([*head, *_details(shown, 0), *tail]))
    few = _fitting(shown, LONGEST - fixed - len(head))
    return "\n".join([*head, *_details(shown, few), *tail]).rstrip()[: LONGEST - 1] + "\n"


def _headline(shown: Shown, seconds: float | None, cost: float | None) -> str:
    count = sum(row.targets for row in shown.rows if row.verb in RUN_VERBS)
    parts = [
        f"{count:,} step{'s' if count != 1 else ''} would run" if count else "nothing to build"
    ]
    if count and cost is not None:
        parts.append(cost_text(cost))
    if count and seconds is not None:
        parts.append(duration_text(seconds))
    blocked = sum(row.targets for row in shown.rows if row.verb == "blocked")
    if blocked:
        parts.append(f"{blocked:,} blocked")
    waiting = sum(row.targets for row in shown.rows if row.verb == "expand")
    if waiting:
        parts.append(f"{waiting:,} expansion{'s wait' if waiting != 1 else ' waits'}")
    drifted = sum(row.targets for row in shown.rows if row.verb == "drift")
    if drifted:
        parts.append(f"{drifted:,} built by other code or in another environment")
    places = list(dict.fromkeys(row.place for row in shown.rows if _is_cause(row)))
    if places:
        more = len(places) - _NAMED_CAUSES
        named = ", ".join(code(place) for place in places[:_NAMED_CAUSES])
        parts.append(f"cause: {named}{f' and {more} more' if more > 0 else ''}")
    return " - ".join(parts)


def _is_cause(row: Row) -> bool:
    return row.verb in ("build", "rebuild") and bool(row.place)


def _details(shown: Shown, most: int) -> list[str]:
    rows = shown.rows[:most]
    if not shown.rows:
        return []
    cells = [row_cells(row) for row in rows]
    used = [i for i in range(len(HEADINGS)) if any(row[i] for row in cells)] or [0, 1, 2]
    lines = ["<details><summary>what and why</summary>", ""]
    lines += table([HEADINGS[i] for i in used], [[row[i] for i in used] for row in cells])
    if len(shown.rows) > most:
        lines += [f"and {len(shown.rows) - most:,} lines more: they are in the saved plan", ""]
    if shown.hidden:
        lines += [f"{shown.hidden:,} reused, not shown", ""]
    return [*lines, "</details>", ""]


def _fitting(shown: Shown, room: int) -> int:
    """Return how many rows fit into some characters."""
    sizes: Sequence[int] = [len("\n".join(table(HEADINGS, [row_cells(r)]))) for r in shown.rows]
    for count, size in enumerate(sizes):
        room -= size
        if room < 0:
            return count
    return len(sizes)
