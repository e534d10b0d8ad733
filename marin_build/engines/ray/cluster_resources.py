"""What a cluster has, and whether a job's request fits on a node of it, in words for people. Pure.

Ray counts resources by name: CPU, GPU, `memory` in bytes, and whatever nodes call their own. It
starts a job on one node that has all of it, and lets one wait that no node could ever start.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from marin_build.text.readable import printable

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    Amounts = Mapping[str, float]
    """How much of each resource, by its name."""

_OWN = ("node:", "object_store_memory")
"""Names of resources that Ray gives each node, and that say nothing to a person."""
_MOST_KINDS = 3
_MOST_NAMES = 8
_BYTES = 1 << 30


def why_it_waits(needs: Amounts, nodes: Sequence[Amounts]) -> str:
    """Return why no node can start a job, and what nodes have; empty if one of them could.

    Args:
        needs: what the job asks for.
        nodes: what each living node has in all, whether in use or not.

    """
    if any(_fits(needs, node) for node in nodes):
        return ""
    lacking = {
        name: amount
        for name, amount in needs.items()
        if amount > max((node.get(name, 0.0) for node in nodes), default=0.0)
    }
    wanted = _words(lacking or needs)
    return f"no node has {wanted} now; the cluster has {cluster_words(nodes)}"


def cluster_words(nodes: Sequence[Amounts]) -> str:
    """Return what nodes have, equal ones together, the most frequent first."""
    kinds = Counter(_words(node) for node in nodes).most_common()
    told = [f"{count} {'node' if count == 1 else 'nodes'} with {each}" for each, count in kinds]
    more = [f"{len(told) - _MOST_KINDS} more kinds of nodes"] if len(told) > _MOST_KINDS else []
    return "; ".join([*told[:_MOST_KINDS], *more]) or "no nodes"


def _fits(needs: Amounts, node: Amounts) -> bool:
    return all(node.get(name, 0.0) >= amount for name, amount in needs.items())


def _words(amounts: Amounts) -> str:
    names = sorted(name for name in amounts if amounts[name] and not name.startswith(_OWN))
    told = [_amount(name, amounts[name]) for name in names[:_MOST_NAMES]]
    more = [f"{len(names) - _MOST_NAMES} more"] if len(names) > _MOST_NAMES else []
    return ", ".join([*told, *more]) or "nothing"


def _amount(name: str, amount: float) -> str:
    if name == "memory":
        return f"{amount / _BYTES:.3g}Gi memory"
    return f"{amount:g} {printable(name)}"
