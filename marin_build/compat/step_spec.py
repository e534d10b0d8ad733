"""StepSpec as Marin's experiments know it: one that can stand among the steps of its executor."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from marin_build.pipeline import step_spec as native
from marin_build.pipeline.placed import Placed

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from marin_build.compat.executor.lifting import StepSpecConfig
    from marin_build.compat.executor.values import ExecutorStep


@dataclass(frozen=True, slots=True, eq=False)
class StepSpec(native.StepSpec):
    """A StepSpec with `as_executor_step`, and with what Marin takes for granted.

    Args:
        outputs: Marin asks for none, and steps may write elsewhere.
        resumable: no run of Marin's clears an output: training goes on from its checkpoints.

    """

    outputs: Sequence[str] | None = ()
    resumable: bool = True

    @property
    def executable_fn(self) -> Callable[[str], object]:
        """The function that builds it; a job gets the group of dependencies of its device."""
        from marin_build.compat.remote import device_groups
        from marin_build.runtime.executable import executable
        from marin_build.runtime.remote import RemoteCallable

        made = executable(self)
        if isinstance(made, RemoteCallable) and not isinstance(self.fn, Placed):
            return replace(made, pip_dependency_groups=device_groups(made.resources.device))
        return made

    def as_executor_step(self) -> ExecutorStep[StepSpecConfig]:
        """Return an ExecutorStep with the output path of this step, for ExecutorSteps that need it.

        Where it is run, this step is built.
        """
        from marin_build.compat.executor.lifting import as_executor_step

        return as_executor_step(self)
