"""resolve_executor_step: one ExecutorStep whose config and path the caller has resolved."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from marin_build.compat.executor.errors import IllegalValueError
from marin_build.compat.executor.lifting import original_step
from marin_build.compat.executor.lowering import remote_of
from marin_build.compat.step_spec import StepSpec
from marin_build.identity.callables import StandsForFunction

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from marin_build.compat.executor.values import ExecutorStep
    from marin_build.pipeline import step_spec as native


@dataclass(frozen=True, slots=True)
class ResolvedCall(StandsForFunction):
    """A function with its config, which holds the output path already."""

    function: Callable[[Any], object]
    config: Any

    def __call__(self, output_path: str) -> object:
        """Call the function; the output path that its config holds is the one that counts."""
        del output_path
        return self.function(self.config)

    @property
    def code_function(self) -> Callable[[Any], object]:
        """The function, as code digests read it."""
        return self.function

    @property
    def __wrapped__(self) -> Callable[[Any], object]:
        """The function, for `inspect`."""
        return self.function


def resolve_executor_step(
    step: ExecutorStep[Any],
    config: Any,
    output_path: str,
    deps: Sequence[native.StepSpec] | None = None,
) -> native.StepSpec:
    """Return a StepSpec that builds a step at a path.

    Args:
        step: the step. One that `as_executor_step` made gives its StepSpec again, at its own path.
        config: its config without placeholders.
        output_path: where it is built.
        deps: what it waits for.

    Raises:
        ValueError: the step has no function.

    """
    if (original := original_step(step)) is not None:
        return replace(
            original,
            deps=deps or original.deps,
            override_output_path=original.output_path,
        )
    if step.fn is None:
        raise IllegalValueError(f"`{step.name}` has no function", consequence="nothing was run")
    remote = remote_of(step)
    function = remote.fn if remote is not None else step.fn
    call: Callable[[str], object] = ResolvedCall(function, config)
    return StepSpec(
        step.name,
        deps=list(deps or ()),
        override_output_path=output_path,
        fn=replace(remote, fn=call) if remote is not None else call,
        resources=step.resources,
        declared=step.declared,
    )
