"""The picture that every format draws: nodes with states, and edges, from a plan's document."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Literal, assert_never, get_args

from marin_build.plan.reason_facts import describe_reasons
from marin_build.plan.reason_text import NOT_READ
from marin_build.quick_dataclass import dataclass

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from marin_build.emit.graph.live import Live, LiveTarget
    from marin_build.plan.document import DecisionDocument, PlanDocument, PrunedDocument


State = Literal["built", "to build", "stale", "failed", "held", "blocked", "later"]
"""The state of a target; `stale`: built, but to be built again; `to build`: never built; `later`:
no target, but an expansion, whose targets are known once what it waits for is built."""
STATES: tuple[State, ...] = get_args(State)
_NEW = ("never_built", "interrupted", "dependency_failed")
"""Kinds of reasons to build what was never built."""


@dataclass(frozen=True, slots=True)
class Node:
    """A target, or several that are drawn as one.

    Args:
        id: `name_with_hash` or `name@version`; for several targets a pattern, `tokenize/*`.
        name: the step's name.
        state: its state; of several targets the state that most needs attention.
        reason: why it has that state, in words.
        tags, resources: as the author declared them.
        is_command: whether the step is a command, not a function.
        targets: how many targets the node stands for.
        drifted: how many of them drifted since they were built.

    """

    id: str
    name: str
    state: State
    reason: str
    tags: tuple[str, ...]
    resources: str
    is_command: bool
    targets: int = 1
    drifted: int = 0


@dataclass(frozen=True, slots=True)
class Picture:
    """Nodes in topological order; edges as pairs of their indices, the way data flows."""

    nodes: tuple[Node, ...]
    edges: tuple[tuple[int, int], ...]

    def layers(self) -> list[list[int]]:
        """Return the layers of node indices: a node is one layer after its last dependency."""
        depth = [0] * len(self.nodes)
        for source, target in sorted(self.edges, key=lambda edge: edge[1]):
            depth[target] = max(depth[target], depth[source] + 1)
        found: list[list[int]] = [[] for _ in range(max(depth, default=-1) + 1)]
        for index, layer in enumerate(depth):
            found[layer].append(index)
        return found


def picture_of(document: PlanDocument, live: Live | None = None) -> Picture:
    """Return the picture of a plan: its decided and pruned targets, and what is known later.

    Nodes are in the order of a depth-first walk from the requested targets, dependencies first.

    Args:
        document: the plan.
        live: facts of the pipeline and its store; None: the plan alone is drawn.

    """
    known = live.targets if live is not None else {}
    nodes: dict[str, Node] = {}
    needs: dict[str, Sequence[str]] = {}
    for decision in document.decisions:
        nodes[decision.target] = _decided(decision, known.get(decision.target))
        needs[decision.target] = decision.deps
    for pruned in document.pruned:
        if pruned.target not in nodes:  # a document may list it among the decisions, too
            now = known.get(pruned.target)
            nodes[pruned.target], needs[pruned.target] = _pruned(pruned, now)
    for expansion in document.expansions:
        is_taken = expansion.name in nodes
        id_ = f"{expansion.name} ({expansion.declared})" if is_taken else expansion.name
        why = f"its steps are known once {', '.join(expansion.waits_for)} is built"
        nodes[id_] = Node(id_, expansion.name, "later", why, (), "", is_command=False)
        needs[id_] = expansion.waits_for
    order = _in_order(document.requested, needs)
    place = {target: index for index, target in enumerate(order)}
    edges = tuple(
        (place[dep], place[target]) for target in order for dep in needs[target] if dep in place
    )
    return Picture(tuple(nodes[target] for target in order), edges)


def _decided(decision: DecisionDocument, live: LiveTarget | None) -> Node:
    facts = decision.reasons[0] if decision.reasons else {}
    words = live.reason if live is not None else describe_reasons(decision.reasons) or NOT_READ
    return Node(
        id=decision.target,
        name=decision.name,
        state=_state(decision, str(facts.get("kind", ""))),
        reason=words,
        tags=live.tags if live is not None else (),
        resources=decision.resources or "",
        is_command="command" in json.loads(decision.payload),
        drifted=_count_drifted(live),
    )


def _pruned(pruned: PrunedDocument, live: LiveTarget | None) -> tuple[Node, Sequence[str]]:
    """Return the node of a pruned target, and the ids of its dependencies."""
    payload = json.loads(pruned.payload)
    is_command = "command" in payload
    node = Node(
        pruned.target, payload["name"], "built", NOT_READ, (), "", is_command,
        drifted=_count_drifted(live),
    )  # fmt: skip
    return node, payload["deps"]


def _count_drifted(live: LiveTarget | None) -> int:
    return int(live is not None and live.drift != "")


def _state(decision: DecisionDocument, kind: str) -> State:
    match decision.decision:
        case "reuse" | "pruned":  # as `plan` counts them: nothing of these is built
            return "built"
        case "wait":
            return "held"
        case "blocked":
            return "blocked"
        case "run":
            if kind == "failed_before":
                return "failed"
            return "to build" if kind in _NEW else "stale"
    assert_never(decision.decision)


def _in_order(requested: Sequence[str], needs: Mapping[str, Sequence[str]]) -> list[str]:
    """Return all targets, dependencies first: those of the first requested one, and so on."""
    order: dict[str, None] = {}
    for start in (*requested, *needs):
        pending = [start]
        while pending:
            target = pending[-1]
            if target in order or target not in needs:
                pending.pop()
            elif missing := [dep for dep in needs[target] if dep in needs and dep not in order]:
                pending.extend(reversed(missing))
            else:
                order[target] = None
    return list(order)
