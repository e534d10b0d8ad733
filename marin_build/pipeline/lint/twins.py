"""Steps that differ in nothing but their names: in a sweep, an argument was forgotten."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from marin_build.pipeline.bound_call import BoundCall
from marin_build.pipeline.command import Command
from marin_build.pipeline.lint.findings import Finding

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterable, Iterator

    from marin_build.pipeline.step_spec import StepSpec


def twins(steps: Iterable[StepSpec]) -> Iterator[Finding]:
    """Yield a finding for each group of steps that would build the same under several names."""
    groups: dict[Hashable, list[StepSpec]] = {}
    for step in steps:
        if step.fn is not None and not step.has_free_path:
            groups.setdefault(_all_but_name(step), []).append(step)
    for group in groups.values():
        names = list(dict.fromkeys(step.name for step in group))
        if len(names) > 1:
            yield Finding(
                "twins",
                tuple(names),
                group[0].declared,
                "nothing but their names tells them apart",
                "give what is to differ as an argument, or declare one step and use it twice",
            )


def _all_but_name(step: StepSpec) -> Hashable:
    """Return what two steps have in common if only their names, tags and texts differ."""
    payload: dict[str, Any] = json.loads(step.payload)
    del payload["name"]
    made_by: Hashable = step.fn
    match step.fn:
        case BoundCall(function=function):
            made_by = function
        case Command():
            made_by = None  # its text is in the payload
    return (
        made_by if _is_hashable(made_by) else id(made_by),
        json.dumps(payload, sort_keys=True),
        repr(step.resources),
        tuple(sorted(step.env_vars.items())),
        step.outputs,
        step.output_path_prefix,
        step.code,
    )


def _is_hashable(value: object) -> bool:
    try:
        hash(value)
    except TypeError:
        return False
    return True
