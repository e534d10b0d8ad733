"""What an engine would refuse of steps, whatever a store holds. Pure: no engine is asked."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from marin_build.errors import UsageError
from marin_build.plan.decisions import Decision, Kind, Plan
from marin_build.plan.reasons import NeverBuilt
from marin_build.plan.snapshot import Snapshot

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from marin_build.engines.base import Engine
    from marin_build.errors import MarinBuildError
    from marin_build.pipeline.step_spec import StepSpec
    from marin_build.pipeline.targets import Targets

_NOTHING_BUILT = Snapshot()


def refused_steps(
    engine: Engine[Any], targets: Targets, indices: Iterable[int]
) -> Iterator[tuple[StepSpec, MarinBuildError]]:
    """Yield each step that an engine would not build, and why; what is no step's fault, once.

    Args:
        engine: checks one step at a time, so that each error has its step.
        targets: of the pipeline.
        indices: of the targets to check.

    Raises:
        UsageError: the code of the engine fails.

    """
    said = set[str]()
    for index in indices:
        step = targets.all[index].step
        if not step.is_built_by_code:
            continue  # nothing builds it
        alone = (Decision(index, Kind.RUN, NeverBuilt()),)
        plan = Plan(targets, (index,), alone, frozenset(), _NOTHING_BUILT)
        try:
            errors = engine.check(plan)
        except Exception as error:
            raise UsageError(
                f"the engine `{engine.name}` failed to check `{step.name}`",
                facts=[("reason", f"{type(error).__name__}: {error}")],
                hint="upgrade its package, or choose another engine with --engine",
            ) from error
        for problem in errors:
            if problem.what not in said:
                said.add(problem.what)
                yield step, problem
