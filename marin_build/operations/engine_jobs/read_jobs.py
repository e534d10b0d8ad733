"""The jobs that queues have for targets, as one look at each queue shows them."""

from __future__ import annotations

from dataclasses import field
from typing import TYPE_CHECKING, Any

from marin_build.engines.registry import DEFAULT_ENGINE
from marin_build.errors import MarinBuildError
from marin_build.operations.loading.loading import chosen_engine
from marin_build.plan.target_state import WaitingJob
from marin_build.quick_dataclass import dataclass

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from marin_build.engines.base import Engine
    from marin_build.operations.loading.loading import Loaded
    from marin_build.pipeline.step_spec import StepSpec


@dataclass(frozen=True, slots=True)
class SeenJobs:
    """What queues say of some targets.

    Args:
        jobs: the jobs that wait or run, by index of the target.
        silent: engine -> why its queue gives no answer: of its jobs nothing is known.

    """

    jobs: Mapping[int, WaitingJob] = field(default_factory=dict)
    silent: Mapping[str, str] = field(default_factory=dict)


def read_jobs(loaded: Loaded, indices: Collection[int]) -> SeenJobs:
    """Ask the queues of the chosen engine, each once, for jobs of targets.

    Nothing is asked where there are no targets, or where the engine has no queue that takes one.

    Args:
        loaded: the pipeline and its configuration, which names the engine.
        indices: which targets.

    Raises:
        UsageError: the engine is unknown, cannot be loaded, or has a wrong setting.

    """
    if not indices or loaded.settings.engine == DEFAULT_ENGINE:
        return SeenJobs()
    engine, targets = chosen_engine(loaded), loaded.targets.all
    jobs: dict[int, WaitingJob] = {}
    silent: dict[str, str] = {}
    for one in engine.queues:
        names = {
            one.job_of(loaded.workspace, targets[index].id)[0]: index
            for index in indices
            if _may_have(engine, one, targets[index].step)
        }
        if not names:
            continue
        try:
            seen = one.open_queue(loaded.workspace).look(names)
        except MarinBuildError as error:
            silent[one.name] = error.with_reason
            continue
        for name, (id_, state) in seen.items():
            job = f"{one.name}:{id_}"
            jobs[names[name]] = WaitingJob(job, state.words, state.place, state.hint)
    return SeenJobs(jobs, silent)


def _may_have(engine: Engine[Any], queue: Engine[Any], step: StepSpec) -> bool:
    """Return whether a queue of an engine may have a job for a step."""
    if engine.capabilities.detaches:  # `apply --detach` hands over what asks for nothing, too
        return True
    return engine.takes(step) and engine.builder_of(step) is queue
