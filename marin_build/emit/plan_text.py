"""A plan as lines for files and pipes, and as Markdown. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from marin_build.emit.markdown import code, table
from marin_build.emit.plan_rows import SYMBOLS
from marin_build.text.readable import cost_text, duration_text, printable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from marin_build.emit.plan_rows import Row, Shown
    from marin_build.plan.blast_radius import BlastRadius


_WIDEST_NAME = 60
_WIDEST_REASON = 72
_MOST_CAUSES = 20


def plan_text(shown: Shown) -> str:
    """Return the lines of a plan as a text that ends with a newline."""
    lines = row_lines(shown.rows)
    if shown.hidden:
        lines.append(f"  = {shown.hidden} reused, not shown (-v shows them)")
    lines += [f"  warning: {warning}" for warning in shown.warnings]
    lines.append(shown.summary)
    return "\n".join([*lines, *next_lines(shown)]) + "\n"


def next_lines(shown: Shown) -> list[str]:
    """Return the last lines: what to do next, each with the command line for it if there is one."""
    next_ = f"{shown.next}: {shown.command}" if shown.command else shown.next
    return [*filter(None, [next_]), *(f"{label}: {way}" for label, way in shown.ways_out)]


def row_lines(rows: Sequence[Row]) -> list[str]:
    """Return rows as lines with aligned columns."""
    cells = [row_cells(row) for row in rows]
    limits = (_WIDEST_NAME, _WIDEST_REASON, _WIDEST_REASON, _WIDEST_REASON, _WIDEST_REASON)
    columns = list(zip(*cells, strict=True))[1:]
    widths = [
        min(max(map(len, column)), limit) for column, limit in zip(columns, limits, strict=False)
    ]
    return [_line(head, rest, widths) for head, *rest in cells]


def _line(head: str, rest: Sequence[str], widths: Sequence[int]) -> str:
    filled = [f"{cell:<{width}}" for cell, width in zip(rest, widths, strict=True) if width]
    return f"  {head} {'  '.join(filled)}".rstrip()


def radius_text(radius: BlastRadius) -> str:
    """Return the lines of a blast radius."""
    found = [_aligned(table) for table in radius_tables(radius)]
    return "".join("\n".join(["", *lines, ""]) for lines in found)


def _aligned(table: Sequence[Sequence[str]]) -> list[str]:
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    return [f"  {'  '.join(map(str.ljust, row, widths))}".rstrip() for row in table]


def radius_tables(radius: BlastRadius) -> tuple[list[list[str]], list[list[str]]]:
    """Return causes and groups as tables, headings first."""
    causes = [["because of", "", "reruns", "time", "cost"]]
    for cause in radius.causes[:_MOST_CAUSES]:
        amounts = amount_cells(cause.seconds, cause.cost)
        causes.append([cause.target, printable(cause.why), f"{cause.reruns:,}", *amounts])
    if len(radius.causes) > _MOST_CAUSES:
        causes.append([f"and {len(radius.causes) - _MOST_CAUSES} more", "", "", "", ""])
    groups = [["group", "reruns", "time", "cost"]]
    for group in radius.groups:
        amounts = amount_cells(group.seconds, group.cost)
        groups.append([group.name, f"{group.reruns:,} of {group.total:,}", *amounts])
    return causes, groups


def amount_cells(seconds: float | None, cost: float | None) -> tuple[str, str]:
    """Return a duration and a cost in words; empty for one that is unknown."""
    return (
        duration_text(seconds) if seconds is not None else "",
        cost_text(cost) if cost is not None else "",
    )


def row_cells(row: Row) -> tuple[str, str, str, str, str, str]:
    """Return the columns of a row: verb, target, why, time, resources, cost."""
    target, many = row.target, f"{row.targets:,} targets"
    if row.targets > 1:
        target = many if target == "*" else f"{target} ({many})"
    why = f"{row.why} ({row.place})" if row.place else row.why
    seconds, cost = amount_cells(row.seconds, row.cost)
    where = f"{row.resources}: {row.spec}" if row.spec else row.resources
    return f"{SYMBOLS[row.verb]} {row.verb:<8}", target, why, seconds, where, cost


HEADINGS = ("", "target", "why", "time", "on", "cost")


def plan_markdown(shown: Shown) -> str:
    """Return a plan in GitHub's Markdown; texts of the pipeline are marked as code."""
    lines = [f"**{shown.summary}**", ""]
    if shown.rows:
        cells = [row_cells(row) for row in shown.rows]
        used = [i for i in range(len(HEADINGS)) if any(row[i] for row in cells)]
        lines += table([HEADINGS[i] for i in used], [[row[i] for i in used] for row in cells])
    if shown.hidden:
        lines += [f"{shown.hidden} reused, not shown", ""]
    lines += [f"> warning: {code(warning)}" for warning in shown.warnings]
    if shown.warnings:
        lines.append("")
    if shown.next:
        lines.append(f"{shown.next}: {code(shown.command)}" if shown.command else shown.next)
    lines += [f"- {label}: {code(way)}" for label, way in shown.ways_out]
    return "\n".join(lines).rstrip() + "\n"


def radius_markdown(radius: BlastRadius) -> str:
    """Return a blast radius in Markdown."""
    lines = [line for head, *rest in radius_tables(radius) for line in ["", *table(head, rest)]]
    return "\n".join(lines).rstrip() + "\n"
