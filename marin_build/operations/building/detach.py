"""A plan handed over to an engine's queue as a whole: nothing has to stay running here."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from marin_build.errors import UsageError
from marin_build.operations.building.run_session import check_writable
from marin_build.operations.engine_jobs.queued_jobs import mark_forced, queued_jobs
from marin_build.plan.graph_shape import waves

if TYPE_CHECKING:
    from collections.abc import Callable

    from marin_build.operations.planning.planned import Planned


@dataclass(frozen=True, slots=True)
class Handed:
    """A target that the queue has a job for.

    Args:
        name, target: which one.
        job: engine and id, `slurm:1234`.
        was_there: whether the job waited or ran already.

    """

    name: str
    target: str
    job: str
    was_there: bool


def detach(planned: Planned, on_handed: Callable[[Handed], None]) -> int:
    """Submit a job for every target to build, each after the jobs of what it needs.

    A job whose needs were not built when it starts ends at once, and builds nothing. A later apply
    finds the jobs, waiting, running or ended. Jobs that the queue holds, because it could not start
    them, are let go.

    Returns:
        How many targets have jobs.

    Raises:
        UsageError: the engine takes no whole plans, or cannot be reached.
        JobRefusedError: the queue refuses a job; those before it were submitted.
        QueueAwayError: the queue gives no answer.
        StoreError: the store cannot be written.

    """
    planned = planned.with_functions()
    engine, plan = planned.engine, planned.decided
    if not engine.capabilities.detaches:
        raise UsageError(
            f"the engine `{engine.name}` starts no job after others: "
            "a whole plan cannot be handed over to it",
            consequence="nothing was submitted",
            hint="leave out --detach, and let `apply` run; killed, it leaves its jobs to the next",
        )
    planned = planned.with_adopted()
    if not plan.to_build:
        return 0
    (queued,) = queued_jobs(planned, all_targets=True)
    loaded, targets = planned.loaded, plan.targets
    check_writable(loaded.workspace.prefix)
    queued.send_code(loaded)
    mark_forced(loaded, plan, queued.jobs)
    known = queued.queue.find_released({request.name for request in queued.jobs.values()})
    ids: dict[int, str] = {}
    for wave in waves({index: targets.deps[index] for index in queued.jobs}):
        requests = {}
        for index in wave:
            job = queued.jobs[index]
            if (there := known.get(job.name)) is not None:
                ids[index] = there
            else:
                after = tuple(ids[dep] for dep in targets.deps[index] if dep in ids)
                requests[job.name] = replace(job, after=after)
        by_name = {queued.jobs[index].name: index for index in wave}
        for batch in queued.queue.batches(list(requests.values())):
            new = queued.queue.submit_batch(batch)
            ids |= {by_name[job.name]: id_ for job, id_ in zip(batch, new, strict=True)}
        for index in wave:
            target, was_there = targets.all[index], queued.jobs[index].name in known
            on_handed(Handed(target.name, target.id, f"{engine.name}:{ids[index]}", was_there))
    return len(ids)
