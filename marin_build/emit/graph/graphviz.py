"""The layout that Graphviz makes: what its `dot` is asked, and what `dot -Tplain` answers."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

from marin_build.emit.graph.layout import HEIGHT, Box, Layout, width_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from marin_build.emit.graph.picture import Picture


_INCH = 72.0
_MARGIN = 24.0


def question(picture: Picture) -> str:
    """Return the graph without names: boxes by number, of the size they are drawn in."""
    lines = [
        "digraph g {",
        "rankdir=LR; ranksep=0.8; nodesep=0.25; node [shape=box fixedsize=true]",
    ]
    for index, node in enumerate(picture.nodes):
        lines.append(f"{index} [width={width_of(node) / _INCH:.3f} height={HEIGHT / _INCH:.3f}]")
    lines += [f"{a} -> {b} [arrowhead=none]" for a, b in picture.edges]
    return "\n".join([*lines, "}"]) + "\n"


def answer(picture: Picture, text: str) -> Layout | None:
    """Return the layout that `dot -Tplain` printed; None if it is not one of this picture."""
    boxes: dict[int, Box] = {}
    routes: dict[tuple[int, int], tuple[tuple[float, float], ...]] = {}
    width = height = 0.0
    try:
        for line in text.splitlines():
            match shlex.split(line):
                case ["graph", _, wide, high]:
                    width, height = float(wide) * _INCH, float(high) * _INCH
                case ["node", name, x, y, wide, high, *_]:
                    boxes[int(name)] = Box(
                        float(x) * _INCH + _MARGIN,
                        height - float(y) * _INCH + _MARGIN,
                        float(wide) * _INCH,
                        float(high) * _INCH,
                    )
                case ["edge", tail, head, count, *rest]:
                    numbers = [float(word) * _INCH for word in rest[: 2 * int(count)]]
                    routes[int(tail), int(head)] = _points(numbers, height)
        return Layout(
            tuple(boxes[i] for i in range(len(picture.nodes))),
            tuple(routes[edge] for edge in picture.edges),
            width + 2 * _MARGIN,
            height + 2 * _MARGIN,
            are_splines=True,
        )
    except (ValueError, KeyError):
        return None


def _points(numbers: Sequence[float], height: float) -> tuple[tuple[float, float], ...]:
    """Return points, their y downwards."""
    return tuple(
        (numbers[i] + _MARGIN, height - numbers[i + 1] + _MARGIN) for i in range(0, len(numbers), 2)
    )
