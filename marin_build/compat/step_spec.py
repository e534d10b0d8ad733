"""StepSpec as Marin's experiments know it: one that can stand among the steps of its executor."""

from __future__ import annotations

from typing import TYPE_CHECKING

from marin_build.pipeline import step_spec as native

if TYPE_CHECKING:
    from marin_build.compat.executor.lifting import StepSpecConfig
    from marin_build.compat.executor.values import ExecutorStep


class StepSpec(native.StepSpec):
    """A StepSpec with `as_executor_step`."""

    __slots__ = ("_lifted",)  # see executor/lifting.py: what stands for it there, once it is known

    def as_executor_step(self) -> ExecutorStep[StepSpecConfig]:
        """Return an ExecutorStep with the output path of this step, for ExecutorSteps that need it.

        Where it is run, this step is built.
        """
        from marin_build.compat.executor.lifting import as_executor_step

        return as_executor_step(self)
