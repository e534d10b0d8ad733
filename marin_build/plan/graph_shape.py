"""The shape of a graph: its longest chain, what is reached, what networkx answers. Pure.

networkx is imported late: most plans have nothing to do, and do not ask.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    import networkx as nx

    from marin_build.pipeline.targets import Targets


def ranks(needs: Sequence[Sequence[int]], seconds: Sequence[float | None]) -> list[float]:
    """Return how long the longest chain takes that each step begins, itself included.

    Of the steps that are ready, the one with the highest rank starts first, of equal ones the
    first. A step of unknown duration counts like the median of the others, so that neither is
    forgotten for the other's sake. If none is known, ranks are numbers of steps.

    Args:
        needs: what each step needs, as positions in this sequence; all lower than its own.
        seconds: how long each one takes; None if that is not known.

    """
    known = sorted(value for value in seconds if value is not None)
    typical = known[len(known) // 2] if known else 1.0
    found = [typical if value is None else value for value in seconds]
    highest = [0.0] * len(found)
    for i in reversed(range(len(found))):
        found[i] += highest[i]
        for dep in needs[i]:
            highest[dep] = max(highest[dep], found[i])
    return found


def longest_chain(
    needs: Sequence[Sequence[int]], seconds: Sequence[float]
) -> tuple[list[int], float]:
    """Return the steps of the chain that takes longest, the first one first, and its seconds.

    Args:
        needs: what each step needs, as positions in this sequence; all lower than its own.
        seconds: how long each one takes.

    """
    ends: list[float] = []
    for above, own in zip(needs, seconds, strict=True):
        ends.append(max([ends[dep] for dep in above], default=0.0) + own)
    if not ends:
        return [], 0.0
    path = [max(range(len(ends)), key=ends.__getitem__)]
    while above := needs[path[-1]]:
        path.append(max(above, key=ends.__getitem__))
    return path[::-1], ends[path[0]]


def digraph(targets: Targets) -> nx.DiGraph[int]:
    """Return the graph of target indices; edges go the way data flows."""
    import networkx as nx

    graph: nx.DiGraph[int] = nx.DiGraph()
    graph.add_nodes_from(range(len(targets)))
    graph.add_edges_from((dep, i) for i, deps in enumerate(targets.deps) for dep in deps)
    return graph


def upstream(targets: Targets, of: Iterable[int]) -> set[int]:
    """Return `of` and everything they need."""
    import networkx as nx

    graph, found = digraph(targets), set[int]()
    for index in of:
        if index not in found:
            found |= nx.ancestors(graph, index) | {index}
    return found


def downstream(targets: Targets, of: Iterable[int]) -> set[int]:
    """Return `of` and everything that needs them."""
    import networkx as nx

    graph, found = digraph(targets), set[int]()
    for index in of:
        if index not in found:
            found |= nx.descendants(graph, index) | {index}
    return found


def reached(targets: Targets, requested: Iterable[int]) -> set[int]:
    """Return what is requested, and all that it needs."""
    found, pending = set(requested), list(requested)
    while pending:
        fresh = [dep for dep in targets.deps[pending.pop()] if dep not in found]
        found.update(fresh)
        pending.extend(fresh)
    return found
