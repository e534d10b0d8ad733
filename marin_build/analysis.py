"""Questions about the shape of a graph, answered by networkx.

Imported only once it is known that there is something to do, or to show.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import networkx as nx

if TYPE_CHECKING:
    from collections.abc import Iterable

    from marin_build.fingerprint import Targets


def digraph(targets: Targets) -> nx.DiGraph[int]:
    """Return the graph of target indices; edges go the way data flows."""
    graph: nx.DiGraph[int] = nx.DiGraph()
    graph.add_nodes_from(range(len(targets)))
    graph.add_edges_from((dep, i) for i, deps in enumerate(targets.deps) for dep in deps)
    return graph


def upstream(targets: Targets, of: Iterable[int]) -> set[int]:
    """Return `of` and everything they need."""
    graph, found = digraph(targets), set[int]()
    for index in of:
        if index not in found:
            found |= nx.ancestors(graph, index) | {index}
    return found


def downstream(targets: Targets, of: Iterable[int]) -> set[int]:
    """Return `of` and everything that needs them."""
    graph, found = digraph(targets), set[int]()
    for index in of:
        if index not in found:
            found |= nx.descendants(graph, index) | {index}
    return found


def critical_path(targets: Targets, among: Iterable[int]) -> list[int]:
    """Return the longest chain, counted in steps, among these targets."""
    path: list[int] = nx.dag_longest_path(digraph(targets).subgraph(among))
    return path


def layers(targets: Targets) -> list[list[int]]:
    """Return the targets in layers: each stands one right of the last it needs."""
    return [sorted(layer) for layer in nx.topological_generations(digraph(targets))]
