"""StepSpec -> ExecutorStep: a step among those of Marin's executor, which keeps its own path."""

from __future__ import annotations

import functools
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from marin_build.compat.executor.values import THIS_OUTPUT_PATH, ExecutorStep, VersionedValue
from marin_build.pipeline.dependencies_first import dependencies_first
from marin_build.workspace.workspace import current_workspace

if TYPE_CHECKING:
    from marin_build.pipeline.step_spec import StepSpec
    from marin_build.workspace.workspace import Workspace

_ORIGINAL = "_original_step_spec"


@dataclass(frozen=True)
class StepSpecConfig:
    """The config of a StepSpec among ExecutorSteps; its fields name what is identity there.

    Args:
        output_path: the step's own.
        attrs: its `hash_attrs`, versioned.
        deps: what it needs.

    """

    output_path: Any
    attrs: Any
    deps: list[ExecutorStep[Any]] = field(default_factory=list)


def as_executor_step(step: StepSpec) -> ExecutorStep[StepSpecConfig]:
    """Return an ExecutorStep that stands for a step of ours, and for what that needs.

    While one prefix is in force it is always the same one.
    """
    made = _made_in(current_workspace(step.declared[0]))
    for each in dependencies_first([step], made.__contains__):
        lowered_from = getattr(each, "executor_step", None)  # of a LoweredStep, which imports this
        if lowered_from is not None:
            made[each] = lowered_from
            continue
        config = StepSpecConfig(
            THIS_OUTPUT_PATH,
            VersionedValue(dict(each.hash_attrs)),
            [made[dep] for dep in each.deps],
        )
        lifted = ExecutorStep(
            each.name,
            each.fn,
            config,
            override_output_path=each.output_path,
            resources=each.resources,
        )
        object.__setattr__(lifted, _ORIGINAL, each)
        object.__setattr__(lifted, "_declared", each.declared)
        made[each] = lifted
    return made[step]


@functools.lru_cache(maxsize=1)  # one workspace is in force at a time
def _made_in(workspace: Workspace) -> dict[StepSpec, ExecutorStep[StepSpecConfig]]:
    """Return the steps that were made there: else what 90 steps share would be made 90 times."""
    del workspace
    return {}


def original_step(step: ExecutorStep[Any]) -> StepSpec | None:
    """Return the StepSpec that an ExecutorStep stands for; None if its author declared it."""
    original: StepSpec | None = getattr(step, _ORIGINAL, None)
    return original
