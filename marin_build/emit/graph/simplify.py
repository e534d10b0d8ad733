"""Fewer nodes and edges: folders as one node, some states only, no implied edges."""

from __future__ import annotations

from typing import TYPE_CHECKING

import networkx as nx

from marin_build.emit.graph.picture import Node, Picture

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

    from marin_build.emit.graph.picture import State


_URGENCY: tuple[State, ...] = (
    "failed", "blocked", "held", "stale", "to build", "later", "built",
)  # fmt: skip


def reduced(picture: Picture) -> Picture:
    """Return a picture without edges that others imply: its transitive reduction.

    The upstream nodes of each node are bits of one integer, which is kept until the last dependent
    of that node has used it.
    """
    needs = _needs(picture)
    waiting = [0] * len(picture.nodes)
    for deps in needs:
        for dep in deps:
            waiting[dep] += 1
    above: dict[int, int] = {}
    edges: list[tuple[int, int]] = []
    for index, deps in enumerate(needs):  # topological: dependencies first
        found = 0
        for dep in sorted(deps, reverse=True):
            if not found >> dep & 1:
                edges.append((dep, index))
                found |= above[dep] | 1 << dep
        for dep in deps:
            waiting[dep] -= 1
            if not waiting[dep]:
                del above[dep]
        if waiting[index]:
            above[index] = found
    return Picture(picture.nodes, tuple(sorted(edges, key=lambda edge: (edge[1], edge[0]))))


def only_states(picture: Picture, states: Collection[State]) -> Picture:
    """Return the nodes in some states; paths through other nodes become direct edges."""
    kept = [i for i, node in enumerate(picture.nodes) if node.state in states]
    place = {index: position for position, index in enumerate(kept)}
    nearest: list[int] = []  # of each node: bits of the kept ones that it needs, or is
    edges: list[tuple[int, int]] = []
    for index, deps in enumerate(_needs(picture)):
        found = 0
        for dep in deps:
            found |= nearest[dep]
        if index in place:
            edges += [(bit, place[index]) for bit in _bits(found)]
            found = 1 << place[index]
        nearest.append(found)
    return Picture(tuple(picture.nodes[i] for i in kept), tuple(edges))


def collapsed(picture: Picture, depth: int) -> Picture:
    """Return a picture in which names that begin with the same `depth` parts are one node.

    Folders that need each other would be a cycle as one node each: such a folder becomes one node
    for each of its layers.
    """
    keys: list[object] = [_folder_of(node, i, depth) for i, node in enumerate(picture.nodes)]
    layer = _layers(picture)
    circular = _circular(picture, keys)
    keys = [
        (key, layer[i]) if key in circular and isinstance(key, str) else key
        for i, key in enumerate(keys)
    ]
    members: dict[object, list[int]] = {}
    for index, key in enumerate(keys):
        members.setdefault(key, []).append(index)
    order = _topological(picture, keys, members)
    place = {key: position for position, key in enumerate(order)}
    parts: dict[str, int] = {}
    nodes = [_merged([picture.nodes[i] for i in members[key]], key, parts) for key in order]
    edges = {(place[keys[a]], place[keys[b]]) for a, b in picture.edges if keys[a] != keys[b]}
    return Picture(tuple(nodes), tuple(sorted(edges, key=lambda edge: (edge[1], edge[0]))))


def _folder_of(node: Node, index: int, depth: int) -> object:
    parts = node.name.split("/")
    return "/".join(parts[:depth]) + "/" if len(parts) > depth else index


def _circular(picture: Picture, keys: Sequence[object]) -> set[object]:
    """Return the keys of folders that need each other."""
    graph: nx.DiGraph[object] = nx.DiGraph()
    graph.add_edges_from((keys[a], keys[b]) for a, b in picture.edges if keys[a] != keys[b])
    circles = (found for found in nx.strongly_connected_components(graph) if len(found) > 1)
    return {key for found in circles for key in found}


def _layers(picture: Picture) -> list[int]:
    layer = [0] * len(picture.nodes)
    for index, deps in enumerate(_needs(picture)):
        layer[index] = max([layer[dep] + 1 for dep in deps], default=0)
    return layer


def _topological(
    picture: Picture, keys: Sequence[object], members: Mapping[object, Sequence[int]]
) -> list[object]:
    """Return the keys, dependencies first; else in the order of their first nodes."""
    graph: nx.DiGraph[object] = nx.DiGraph()
    graph.add_nodes_from(members)
    graph.add_edges_from((keys[a], keys[b]) for a, b in picture.edges if keys[a] != keys[b])
    found: Iterable[object] = nx.lexicographical_topological_sort(
        graph, key=lambda key: members[key][0]
    )
    return list(found)


def _merged(nodes: Sequence[Node], key: object, parts: dict[str, int]) -> Node:
    """Return one node for several; each further node of the same folder gets a number."""
    if len(nodes) == 1:
        return nodes[0]
    folder = str(key[0] if isinstance(key, tuple) else key)
    parts[folder] = parts.get(folder, 0) + 1
    name = f"{folder}*" + (f" {parts[folder]}" if parts[folder] > 1 else "")
    counts = {state: sum(n.targets for n in nodes if n.state == state) for state in _URGENCY}
    resources = {node.resources for node in nodes}
    return Node(
        id=name,
        name=name,
        state=next(state for state in _URGENCY if counts[state]),
        reason=", ".join(f"{count} {state}" for state, count in counts.items() if count),
        tags=tuple(sorted({tag for node in nodes for tag in node.tags})),
        resources=resources.pop() if len(resources) == 1 else "",
        is_command=all(node.is_command for node in nodes),
        targets=sum(node.targets for node in nodes),
        drifted=sum(node.drifted for node in nodes),
    )


def _needs(picture: Picture) -> list[list[int]]:
    needs: list[list[int]] = [[] for _ in picture.nodes]
    for source, target in picture.edges:
        needs[target].append(source)
    return needs


def _bits(number: int) -> Iterator[int]:
    while number:
        lowest = number & -number
        yield lowest.bit_length() - 1
        number ^= lowest
