"""A plan as HTML for a notebook: its picture and its lines, every text escaped. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from marin_build.emit.plan_text import next_lines, row_cells
from marin_build.emit.quoting import data_address, xml

if TYPE_CHECKING:
    from marin_build.emit.plan_rows import Shown


_HEADINGS = ("", "target", "why", "time", "on", "cost")
_CELL = "text-align:left;vertical-align:top;white-space:normal;overflow-wrap:anywhere"


def plan_html(shown: Shown, picture: str | None) -> str:
    """Return a plan as a fragment of an HTML page.

    Args:
        shown: the lines of the plan.
        picture: its graph as SVG, or None. The fragment holds it as an image, so that its styles
            do not reach the page, and the browser runs nothing in it.

    """
    parts = [f"<p><b>{xml(shown.summary)}</b></p>"]
    if picture is not None:
        style = "max-width:100%;max-height:30em"
        source = data_address("image/svg+xml", picture.encode("utf-8", "backslashreplace"))
        parts.append(f'<img style="{style}" alt="graph of the plan" src="{source}">')
    if shown.rows:
        parts.append(_table([row_cells(row) for row in shown.rows]))
    if shown.hidden:
        parts.append(f"<p>{shown.hidden} reused, not shown</p>")
    parts += [f"<p>warning: {xml(warning)}</p>" for warning in shown.warnings]
    parts += [f"<p>{xml(line)}</p>" for line in next_lines(shown)]
    return f"<div>{''.join(parts)}</div>"


def _table(rows: list[tuple[str, str, str, str, str, str]]) -> str:
    used = [i for i in range(len(_HEADINGS)) if any(row[i] for row in rows)]
    head = "".join(f'<th style="{_CELL}">{_HEADINGS[i]}</th>' for i in used)
    lines = [
        "".join(f'<td style="{_CELL}">{xml(row[i].strip())}</td>' for i in used) for row in rows
    ]
    body = "".join(f"<tr>{line}</tr>" for line in lines)
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
