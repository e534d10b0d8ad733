"""Steps -> Graph: everything the requested steps need, dependencies first."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from marin_build.errors import CycleError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from marin_build.step_spec import StepSpec


@dataclass(frozen=True, slots=True)
class Graph:
    """Steps in topological order. `deps[i]` are indices into `steps`, all below i."""

    steps: tuple[StepSpec, ...]
    deps: tuple[tuple[int, ...], ...]
    roots: tuple[int, ...]


def build_graph(roots: Iterable[StepSpec]) -> Graph:
    """Return the graph of `roots` and all they need, in the order of a depth-first walk.

    Raises:
        CycleError: names the members of a cycle, in order.

    """
    order: dict[StepSpec, int] = {}
    open_steps: dict[StepSpec, None] = {}  # on the path from a root, in order
    wanted = tuple(dict.fromkeys(roots))
    for root in wanted:
        pending: list[StepSpec] = [root]
        while pending:
            step = pending[-1]
            if step in order:
                pending.pop()
                continue
            if step in open_steps:
                pending.pop()
                del open_steps[step]
                order[step] = len(order)
                continue
            open_steps[step] = None
            for dep in reversed(step.deps):
                if dep in open_steps:
                    raise _cycle([*open_steps], dep)
                if dep not in order:
                    pending.append(dep)
    steps = tuple(order)
    deps = tuple(tuple(dict.fromkeys([order[dep] for dep in step.deps])) for step in steps)
    return Graph(steps, deps, tuple(order[root] for root in wanted))


def _cycle(path: Sequence[StepSpec], back_to: StepSpec) -> CycleError:
    members = path[path.index(back_to) :]
    # A step needs its dependencies; people read a pipeline the way data flows.
    names = [step.name for step in reversed([*members, back_to])]
    places = ", ".join(step.place for step in members)
    return CycleError(names, facts=[("declared", places)])
