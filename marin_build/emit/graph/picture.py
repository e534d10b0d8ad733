"""What every format draws: nodes with their state, and edges."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from marin_build.plan.decisions import Kind
from marin_build.plan.reasons import DependencyFailed, FailedBefore, Interrupted, NeverBuilt

if TYPE_CHECKING:
    from collections.abc import Mapping

    from marin_build.plan.decisions import Plan
    from marin_build.protocol.status import Status


State = Literal["built", "to build", "stale", "failed", "held", "blocked"]
"""How a target stands; `stale` was built, but must be built again, `to build` never was."""
STATES: tuple[State, ...] = ("built", "to build", "stale", "failed", "held", "blocked")


@dataclass(frozen=True, slots=True)
class Node:
    """A target, or several that are drawn as one.

    Args:
        id: `name_with_hash` or `name@version`; of several what their names have in common.
        name: the step's.
        state: how it stands; of several, that which needs somebody's eye first.
        reason: why, in words.
        tags, resources: the author's.
        is_command: whether the step is a command, not a function.
        targets: how many it stands for.

    """

    id: str
    name: str
    state: State
    reason: str
    tags: tuple[str, ...]
    resources: str
    is_command: bool
    targets: int = 1


@dataclass(frozen=True, slots=True)
class Picture:
    """Nodes in topological order; edges as pairs of their indices, the way data flows."""

    nodes: tuple[Node, ...]
    edges: tuple[tuple[int, int], ...]

    def layers(self) -> list[list[int]]:
        """Return the nodes in layers: each stands one right of the last it needs."""
        depth = [0] * len(self.nodes)
        for source, target in sorted(self.edges, key=lambda edge: edge[1]):
            depth[target] = max(depth[target], depth[source] + 1)
        found: list[list[int]] = [[] for _ in range(max(depth, default=-1) + 1)]
        for index, layer in enumerate(depth):
            found[layer].append(index)
        return found


def picture_of(plan: Plan, shown: set[int], statuses: Mapping[int, Status | None]) -> Picture:
    """Return the picture of some of a plan's targets.

    Args:
        plan: decides the state of what it looked at.
        shown: the targets to draw.
        statuses: of the targets the plan did not look at.

    """
    from marin_build.pipeline.command import Command
    from marin_build.plan.reason_text import describe

    decisions = {decision.index: decision for decision in plan.decisions}
    order = sorted(shown)
    place = {index: position for position, index in enumerate(order)}
    nodes = []
    for index in order:
        target, decision = plan.targets.all[index], decisions.get(index)
        step = target.step
        nodes.append(
            Node(
                id=target.id,
                name=target.name,
                state=_state(decision.kind, decision.reason)
                if decision
                else _by_status(statuses[index]),
                reason=describe(decision.reason) if decision else "not needed by what is requested",
                tags=tuple(step.tags),
                resources=step.resources.summary() if step.resources is not None else "",
                is_command=isinstance(step.fn, Command),
            )
        )
    edges = tuple(
        (place[dep], place[index])
        for index in order
        for dep in plan.targets.deps[index]
        if dep in place
    )
    return Picture(tuple(nodes), edges)


def _state(kind: Kind, reason: object) -> State:
    if kind is Kind.RUN:
        if isinstance(reason, FailedBefore):
            return "failed"
        is_new = isinstance(reason, NeverBuilt | Interrupted | DependencyFailed)
        return "to build" if is_new else "stale"
    states: dict[Kind, State] = {Kind.REUSE: "built", Kind.WAIT: "held", Kind.BLOCKED: "blocked"}
    return states[kind]


def _by_status(status: Status | None) -> State:
    if status == "SUCCESS":
        return "built"
    return "failed" if status == "FAILED" else "to build"
