"""The places of nodes and edges: layers from left to right, with few crossings.

The method of Sugiyama, Tagawa and Toda (1981): layers by longest path, a dummy node in each layer
that an edge passes, order by barycentres in sweeps; then nodes move towards their neighbours.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import TYPE_CHECKING

from marin_build.emit.graph.text_formats import titled
from marin_build.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from marin_build.emit.graph.picture import Node, Picture


_SWEEPS = 8
_LARGEST = 100_000
"""Nodes, and layers that edges pass: more take minutes, and no person can look at them."""
_GAP_X, _GAP_Y = 56.0, 18.0
_MARGIN = 24.0
_CHARACTER = 7.6  # pixels, for a wide bold font: the viewer's font is unknown
_PADDING = 26.0
_HEIGHT = 40.0
_DUMMY_HEIGHT = 14.0


@dataclass(frozen=True, slots=True)
class Box:
    """A node's place: centre, width and height, in pixels."""

    x: float
    y: float
    width: float
    height: float


@dataclass(frozen=True, slots=True)
class Layout:
    """Boxes of the nodes, the corners of each edge, and the size of the whole, in pixels."""

    boxes: tuple[Box, ...]
    routes: tuple[tuple[tuple[float, float], ...], ...]
    width: float
    height: float


def _width_of(node: Node) -> float:
    """Return how wide a node's box is, in pixels."""
    return max(len(titled(node)), len(node.state) + 2) * _CHARACTER + _PADDING


def lay_out(picture: Picture) -> Layout:
    """Return the layout of a picture."""
    layers, chains = _with_dummies(picture)
    count = len(picture.nodes)
    up: dict[int, list[int]] = {}
    down: dict[int, list[int]] = {}
    for chain in chains:
        for a, b in itertools.pairwise(chain):
            down.setdefault(a, []).append(b)
            up.setdefault(b, []).append(a)
    _order(layers, up, down)
    widths = [_width_of(node) for node in picture.nodes]
    xs, x = [], _MARGIN
    for layer in layers:
        width = max([widths[i] for i in layer if i < count], default=0.0)
        xs.append((x, width))
        x += width + _GAP_X
    ys = _heights(layers, up, down, count)
    shift = _MARGIN - min((y - _HEIGHT / 2 for y in ys.values()), default=0.0)
    boxes: list[Box | None] = [None] * count
    points: dict[int, tuple[float, float, float]] = {}  # left, right, y
    for layer, (left, width) in zip(layers, xs, strict=True):
        for i in layer:
            y = ys[i] + shift
            points[i] = (left, left + width, y)
            if i < count:  # as wide as the layer: no edge passes behind a wider neighbour
                boxes[i] = Box(left + width / 2, y, width, _HEIGHT)
    routes = tuple(_route(chain, points) for chain in chains)
    height = max((y for *_, y in points.values()), default=0.0) + _HEIGHT / 2 + _MARGIN
    found = tuple(box for box in boxes if box is not None)
    return Layout(found, routes, max(x - _GAP_X, 0.0) + _MARGIN, height)


def _with_dummies(picture: Picture) -> tuple[list[list[int]], list[list[int]]]:
    """Return the layers, dummies included, and each edge as its chain of nodes and dummies.

    Raises:
        UsageError: there are more than can be drawn, or looked at.

    """
    layers = [list(layer) for layer in picture.layers()]
    depth = {i: d for d, layer in enumerate(layers) for i in layer}
    size = len(depth) + sum(depth[target] - depth[source] for source, target in picture.edges)
    if size > _LARGEST:
        raise UsageError(
            f"svg draws at most {_LARGEST} nodes and pieces of edges, and there are {size}",
            consequence="nothing was drawn",
            hint="name some targets, draw folders as one with --collapse 1, leave out edges with "
            "--reduce, or use --format html",
        )
    next_dummy = len(picture.nodes)
    chains = []
    for source, target in picture.edges:
        chain = [source]
        for layer in range(depth[source] + 1, depth[target]):
            layers[layer].append(next_dummy)
            chain.append(next_dummy)
            next_dummy += 1
        chains.append([*chain, target])
    return layers, chains


def _order(layers: list[list[int]], up: dict[int, list[int]], down: dict[int, list[int]]) -> None:
    """Order the nodes within each layer by the middle of their neighbours, in sweeps."""
    place = {i: p for layer in layers for p, i in enumerate(layer)}
    for sweep in range(_SWEEPS):
        forward = sweep % 2 == 0
        neighbours = up if forward else down

        def middle(i: int, near: dict[int, list[int]] = neighbours) -> float:
            around = near.get(i)
            return sum(place[n] for n in around) / len(around) if around else place[i]

        for layer in layers if forward else reversed(layers):
            layer.sort(key=middle)
            place.update((i, p) for p, i in enumerate(layer))


def _heights(
    layers: Sequence[Sequence[int]],
    up: dict[int, list[int]],
    down: dict[int, list[int]],
    count: int,
) -> dict[int, float]:
    """Return the y of each node: near its neighbours, in order, without overlap."""
    ys: dict[int, float] = {}
    for layer in layers:
        y = 0.0
        for i in layer:
            y += _room(i, count)
            ys[i] = y - _room(i, count) / 2
        for i in layer:
            ys[i] -= y / 2
    for sweep in range(_SWEEPS):
        near = up if sweep % 2 == 0 else down
        for layer in layers if sweep % 2 == 0 else reversed(layers):
            wanted = [
                sum(ys[n] for n in near[i]) / len(near[i]) if near.get(i) else ys[i] for i in layer
            ]
            ys.update(zip(layer, _spread(layer, wanted, count), strict=True))
    return ys


def _room(i: int, count: int) -> float:
    return (_HEIGHT if i < count else _DUMMY_HEIGHT) + _GAP_Y


def _spread(layer: Sequence[int], wanted: Sequence[float], count: int) -> list[float]:
    """Return positions as near as possible (least squares) to the wanted ones, without overlap.

    Isotonic regression by pooling neighbours that would overlap (Ayer et al. 1955).
    """
    offsets, offset = [], 0.0
    for position, i in enumerate(layer):
        if position:
            offset += (_room(layer[position - 1], count) + _room(i, count)) / 2
        offsets.append(offset)
    pools: list[tuple[float, int]] = []  # mean, size
    for want, shift in zip(wanted, offsets, strict=True):
        mean, size = want - shift, 1
        while pools and pools[-1][0] > mean:
            other, others = pools.pop()
            mean = (mean * size + other * others) / (size + others)
            size += others
        pools.append((mean, size))
    means = [mean for mean, size in pools for _ in range(size)]
    return [mean + shift for mean, shift in zip(means, offsets, strict=True)]


def _route(
    chain: Sequence[int], points: dict[int, tuple[float, float, float]]
) -> tuple[tuple[float, float], ...]:
    first, *between, last = chain
    route = [points[first][1:]]
    for i in between:
        left, right, y = points[i]
        route += [(left, y), (right, y)]
    return (*route, (points[last][0], points[last][2]))
