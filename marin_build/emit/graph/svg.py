"""The static picture as SVG: computes the coordinates that `templates/graph.svg.j2` draws."""

from __future__ import annotations

from typing import TYPE_CHECKING

from marin_build.emit.graph.layout import lay_out
from marin_build.emit.graph.picture import STATES
from marin_build.emit.graph.text_formats import FILLS, state_text, titled

if TYPE_CHECKING:
    from collections.abc import Sequence

    from marin_build.emit.graph.picture import Picture
    from marin_build.emit.templates import Templates


_LEGEND_HEIGHT = 44


def as_svg(picture: Picture, templates: Templates) -> str:
    """Return an SVG document."""
    layout = lay_out(picture)
    nodes = [
        {
            "name": titled(node),
            "state": state_text(node),
            "title": f"{node.id}: {node.reason}",
            "is_command": node.is_command,
            "is_later": node.state == "later",
            "fill": FILLS[node.state][0],
            "border": FILLS[node.state][1],
            "left": _n(box.x - box.width / 2),
            "top": _n(box.y - box.height / 2),
            "width": _n(box.width),
            "height": _n(box.height),
            "x": _n(box.x),
            "y": _n(box.y),
        }
        for node, box in zip(picture.nodes, layout.boxes, strict=True)
    ]
    counts = {state: sum(node.state == state for node in picture.nodes) for state in STATES}
    legend = [
        {
            "state": f"{state} ({count})",
            "fill": FILLS[state][0],
            "border": FILLS[state][1],
            "left": _n(24 + 130 * place),
        }
        for place, (state, count) in enumerate((s, c) for s, c in counts.items() if c)
    ]
    return templates.render(
        "graph.svg.j2",
        width=_n(max(layout.width, 48 + 130 * len(legend))),
        height=_n(layout.height + _LEGEND_HEIGHT),
        legend_y=_n(layout.height + 6),
        nodes=nodes,
        edges=[_curve(route) for route in layout.routes],
        legend=legend,
    )


def _n(value: float) -> str:
    """Return a coordinate with one decimal at most."""
    return f"{value:.1f}".removesuffix(".0")


def _curve(route: Sequence[tuple[float, float]]) -> str:
    """Return a path through the points: level at each, curved where it changes height."""
    (x, y), *rest = route
    parts = [f"M{_n(x)} {_n(y)}"]
    for to_x, to_y in rest:
        if abs(to_y - y) < 0.05:  # noqa: PLR2004 - less than can be drawn
            parts.append(f"L{_n(to_x)} {_n(to_y)}")
        else:
            middle = _n((x + to_x) / 2)
            parts.append(f"C{middle} {_n(y)} {middle} {_n(to_y)} {_n(to_x)} {_n(to_y)}")
        x, y = to_x, to_y
    return "".join(parts)
