"""Steps -> Graph: everything the requested steps need, dependencies first."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

from marin_build.errors import CycleError
from marin_build.pipeline.traits import traits_of
from marin_build.quick_dataclass import dataclass

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from marin_build.pipeline.step_spec import StepSpec
    from marin_build.pipeline.traits import Traits


@dataclass(frozen=True)
class Graph:
    """Steps in topological order. `deps[i]` are indices into `steps`, all below i."""

    steps: tuple[StepSpec, ...]
    deps: tuple[tuple[int, ...], ...]
    roots: tuple[int, ...]

    @cached_property
    def traits(self) -> Traits:
        """Which of its steps have what few steps have."""
        return traits_of(self.steps)


def build_graph(roots: Iterable[StepSpec]) -> Graph:
    """Return the graph of `roots` and all they need, in the order of a depth-first walk.

    Raises:
        CycleError: names the members of a cycle, in order.

    """
    order: dict[StepSpec, int] = {}
    deps: list[tuple[int, ...]] = []
    open_steps: dict[StepSpec, None] = {}  # on the path from a root, in order
    wanted = tuple(dict.fromkeys(roots))
    for root in wanted:
        pending: list[StepSpec] = [root]
        while pending:
            step = pending[-1]
            if step not in order:
                places = [order.get(dep, -1) for dep in step.deps]
                if -1 in places:
                    missing = [dep for dep in step.deps if dep not in order]
                    open_steps[step] = None
                    if not open_steps.keys().isdisjoint(missing):
                        raise _cycle([*open_steps], next(d for d in missing if d in open_steps))
                    pending.extend(reversed(missing))
                    continue
                open_steps.pop(step, None)
                order[step] = len(order)
                deps.append(tuple(dict.fromkeys(places)))
            pending.pop()
    return Graph(tuple(order), tuple(deps), tuple([order[root] for root in wanted]))


def steps_below(roots: Iterable[StepSpec]) -> list[StepSpec]:
    """Return `roots` and all they need, in no order: four times as fast as the graph."""
    found = dict.fromkeys(roots)
    steps = list(found)
    for step in steps:  # and what is appended meanwhile
        for dep in step.deps:
            if dep not in found:
                found[dep] = None
                steps.append(dep)
    return steps


_SHOWN_PLACES = 10


def _cycle(path: Sequence[StepSpec], back_to: StepSpec) -> CycleError:
    members = path[path.index(back_to) :]
    # A step needs its dependencies; people read a pipeline the way data flows.
    names = [step.name for step in reversed([*members, back_to])]
    places = ", ".join([step.place for step in members[:_SHOWN_PLACES]])
    if (more := len(members) - _SHOWN_PLACES) > 0:
        places += f" and {more} more"
    return CycleError(names, facts=[("declared", places)])
