"""What records and files under a prefix say of outputs, without a pipeline: as a report says it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from marin_build.emit.graph.details import Details
from marin_build.emit.graph.picture import Node
from marin_build.emit.report.facts import ReportedTarget
from marin_build.observe.read_hashed_steps import hashed_step, read_hashed_steps
from marin_build.observe.read_inventory import read_inventory
from marin_build.observe.read_made import read_made
from marin_build.observe.read_metrics import read_metrics
from marin_build.operations.loading.loading import current_host
from marin_build.operations.metrics.metrics import measured_target
from marin_build.operations.pages.report import build_of, node_of, returned_of
from marin_build.operations.pages.report_contents import contents_of
from marin_build.operations.pages.report_metrics import tables_by_kind
from marin_build.plan.reason_text import NOT_READ

if TYPE_CHECKING:
    from marin_build.operations.loading.place import Place
    from marin_build.plan.inventory import Inventory
    from marin_build.plan.metrics.metrics_table import MetricsTable


MOST_MEASURED = 500
"""Outputs whose numbers are read, those that were built last."""


def kept_outputs(place: Place) -> Inventory:
    """Read which outputs lie under a prefix, of whichever pipelines.

    Raises:
        StoreError: the store cannot be read.

    """
    return read_inventory(place.store, place.prefix, current_host(), sizes=False)


def read_output(place: Place, name: str, target: str, output: str) -> ReportedTarget:
    """Read one output: its record, what its step returned, and what lies in it.

    Args:
        place: the prefix and its store.
        name, target, output: the step's name, the target's id and the output path.

    Raises:
        StoreError: the store cannot be read.

    """
    (made,) = read_made(place.store, [(name, target, output)])
    recipe, is_built = made.recipe, made.output.is_built
    is_command = recipe is not None and recipe.is_command
    node = Node(target, name, "built" if is_built else "to build", NOT_READ, (), "", is_command)
    value, problem = returned_of(made)
    return ReportedTarget(
        node=node_of(node, made),
        details=Details(
            attributes=dict(recipe.attributes) if recipe is not None else {},
            inputs=dict(recipe.inputs) if recipe is not None else {},
            output=output,
        ),
        needs=recipe.deps if recipe is not None else (),
        build=build_of(made) if is_built else None,
        returned=value,
        returned_problem=problem,
        contents=contents_of(place.store, [made]).get(target),
    )


def kept_metrics(place: Place) -> tuple[tuple[MetricsTable, ...], int]:
    """Return the numbers that outputs hold, in one table a kind, and how many were left out.

    Raises:
        StoreError: the store cannot be read.

    """
    built = [each for each in kept_outputs(place).targets if each.is_built]
    built.sort(key=lambda each: each.end, reverse=True)
    chosen = built[:MOST_MEASURED]
    read = read_metrics(place.store, [(each.name, each.target, each.path) for each in chosen])
    rows, steps = [], {}
    for each, measured in zip(chosen, read, strict=True):
        if measured.metrics:
            rows.append((measured_target(measured), each.path))
            step = hashed_step(measured.record, None, each.path, place.prefix)
            if step is not None:
                steps[each.path] = step
    keys = [path for _, path in rows]
    wanted = {dep for step in steps.values() for dep in step.deps.values()}
    steps |= read_hashed_steps(place.store, place.prefix, steps, [*keys, *wanted])
    return tables_by_kind(rows, steps), len(built) - len(chosen)
