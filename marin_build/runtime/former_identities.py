"""The steps of a program that were built under a former formula of identity stay built."""

from __future__ import annotations

from typing import TYPE_CHECKING

from marin_build.identity.attributes import FormerlyTagged
from marin_build.pipeline.dependencies_first import dependencies_first
from marin_build.pipeline.graph import Graph

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from marin_build.pipeline.step_spec import StepSpec
    from marin_build.store.base import Store


def keep_former_identities_of(
    steps: Sequence[StepSpec], prefix: str | None, is_known: Callable[[StepSpec], bool]
) -> None:
    """Have steps, and all they need, the identity under which they are built (docs/adr/0027).

    A step whose identity the program has asked for keeps that one: the program may have kept its
    path, and cannot be loaded again as a pipeline can.

    Args:
        steps: the steps.
        prefix: where outputs live; None: each below the one of its own project.
        is_known: whether a step and all it needs had its turn before.

    Raises:
        StoreError: a status or a record cannot be read.

    """
    new: dict[StepSpec, int] = {}
    for step in dependencies_first(steps, lambda it: it in new or it.is_identified or is_known(it)):
        new[step] = len(new)
    if not any(type(step.hash_attrs) is FormerlyTagged for step in new):
        return
    from marin_build.observe.former_formulas import keep_former_identities

    deps = [tuple(new[dep] for dep in step.deps if dep in new) for step in new]
    keep_former_identities(
        Graph(tuple(new), tuple(deps), ()), prefix, lambda it: _store(it, prefix)
    )


def _store(steps: Sequence[StepSpec], prefix: str | None) -> Store:
    """Return a store of the outputs of steps."""
    from marin_build.store.open_store import open_store
    from marin_build.store.routing import RoutingStore, schemes_of

    outputs = [step.output_path_in(prefix) for step in steps]
    return RoutingStore(schemes_of(outputs[0], outputs), open_store)
