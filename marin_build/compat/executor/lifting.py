"""StepSpec -> ExecutorStep: a step among those of Marin's executor, which keeps its own path."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from marin_build.compat.executor.values import THIS_OUTPUT_PATH, ExecutorStep, VersionedValue
from marin_build.pipeline.dependencies_first import dependencies_first

if TYPE_CHECKING:
    from marin_build.pipeline.step_spec import StepSpec

_ORIGINAL = "_original_step_spec"
_LIFTED = "_lifted"


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
    """Return an ExecutorStep that stands for a StepSpec, and for what that needs.

    Of a StepSpec of Marin's dialect it is always the same one, while its output path is the same:
    hundreds of steps may need one.
    """
    made: dict[StepSpec, ExecutorStep[StepSpecConfig]] = {}

    def is_made(each: StepSpec) -> bool:
        if each in made:
            return True
        lifted = getattr(each, _LIFTED, None)
        if lifted is None or lifted.override_output_path != each.output_path:
            return False
        made[each] = lifted
        return True

    for each in dependencies_first([step], is_made):
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
        if hasattr(type(each), _LIFTED):
            object.__setattr__(each, _LIFTED, lifted)
        made[each] = lifted
    return made[step]


def original_step(step: ExecutorStep[Any]) -> StepSpec | None:
    """Return the StepSpec that an ExecutorStep stands for; None if its author declared it."""
    original: StepSpec | None = getattr(step, _ORIGINAL, None)
    return original
