"""A plan as the comment of a review, with the graph of what would run."""

from __future__ import annotations

from typing import TYPE_CHECKING

from marin_build.emit.graph.drawing import View
from marin_build.emit.review_comment import review_comment
from marin_build.errors import UsageError
from marin_build.operations.pages.graph import draw_planned

if TYPE_CHECKING:
    from marin_build.emit.graph.picture import State
    from marin_build.operations.planning.planned import Planned

_RUNNING: tuple[State, ...] = ("to build", "stale", "failed", "blocked")
_MOST_NODES = 60
"""More nodes are no picture that a reviewer reads: then folders are drawn as one."""


def review_of(planned: Planned, again: tuple[str, str]) -> str:
    """Return the comment about a plan, in Markdown.

    Args:
        planned: made with its history.
        again: what to do next, in words, and the command line for that.

    """
    shown = planned.shown(again)
    total = planned.estimate
    seconds = total.total_seconds if total.is_complete else None
    return review_comment(shown, seconds, total.cost, _graph(planned))


def _graph(planned: Planned) -> str:
    """Return what would run in Mermaid; empty if that is nothing, or too much to draw."""
    for depth in (0, 2, 1):
        try:
            drawing = draw_planned(planned, View("mermaid", _RUNNING, depth, few=True))
        except UsageError:  # more edges than Mermaid draws
            continue
        if len(drawing.picture.nodes) <= _MOST_NODES:
            return drawing.text if drawing.picture.nodes else ""
    return ""
