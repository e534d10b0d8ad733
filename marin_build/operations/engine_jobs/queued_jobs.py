"""Which targets of a plan an engine's queue builds, and what is submitted for each of them."""

from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from marin_build.engines.jobs import JobRequest
from marin_build.errors import StoppedError, StoreError
from marin_build.workspace.regular_files import read_regular

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping

    from marin_build.apply.events import Event
    from marin_build.apply.queue_workers import QueueWorkers
    from marin_build.engines.base import Engine
    from marin_build.engines.jobs import JobQueue
    from marin_build.operations.engine_jobs.code_bundle import Bundle
    from marin_build.operations.loading.loading import Loaded
    from marin_build.operations.planning.planned import Planned
    from marin_build.plan.decisions import Plan
    from marin_build.run_step.session import Session


@dataclass(frozen=True, slots=True)
class QueuedJobs:
    """The jobs of a run that go to one queue.

    Args:
        engine: the engine whose queue takes them.
        jobs: by index of the target, what is submitted.
        queue: the engine's queue, which answered.
        bundle: the code that the jobs load; None: they find it where they run.

    """

    engine: Engine[Any]
    jobs: Mapping[int, JobRequest]
    queue: JobQueue
    bundle: Bundle | None = None

    def send_code(self, loaded: Loaded) -> None:
        """Put the code where the jobs look for it: before the first of them is submitted.

        Raises:
            StoreError: the store cannot be read or written.

        """
        if self.bundle is not None:
            from marin_build.operations.engine_jobs.code_bundle import send_bundle

            send_bundle(loaded.store, loaded.workspace.prefix, self.bundle)

    def workers(
        self, session: Session, on_event: Callable[[Event], None], on_answer: Callable[[], None]
    ) -> QueueWorkers:
        """Return what submits and follows them."""
        from marin_build.apply.queue_workers import QueueWorkers

        return QueueWorkers(
            session, self.engine.name, self.queue, self.jobs, on_event, on_answer=on_answer
        )


def queued_targets(plan: Plan, engine: Engine[Any]) -> dict[str, list[int]]:
    """Return the targets to build that go to a queue, by the name of its engine."""
    found: dict[str, list[int]] = {one.name: [] for one in engine.queues}
    for index in plan.to_build if found else ():
        step = plan.targets.all[index].step
        if engine.takes(step):
            found[engine.builder_of(step).name].append(index)
    return found


def queued_jobs(planned: Planned, *, all_targets: bool = False) -> list[QueuedJobs]:
    """Return the jobs of a plan, rendered, or read from its folder if it was saved.

    Args:
        planned: the plan.
        all_targets: of what asks for nothing, too; its engine must have a queue of its own.

    Raises:
        MarinBuildError: the engine cannot build a step, cannot be reached, or a template is
            malformed; nothing was submitted.

    """
    plan, engine = planned.decided, planned.engine
    workspace = plan.targets.workspace
    queued = {engine.name: plan.to_build} if all_targets else queued_targets(plan, engine)
    used = [one for one in engine.queues if queued[one.name]]
    queues = [one.open_queue(workspace) for one in used]
    for queue in queues:
        queue.check()
    if not used:
        return []
    bundle = _bundle(planned)
    if planned.folder:
        read = _from_folder(planned.folder)
    else:
        read = _rendered(planned, bundle).__getitem__
    found = []
    for one, queue in zip(used, queues, strict=True):
        places = {i: one.job_of(workspace, plan.targets.all[i].id) for i in queued[one.name]}
        jobs = {i: JobRequest(name, read(path)) for i, (name, path) in places.items()}
        loaded = bundle if one.bundle_limit is not None else None
        found.append(QueuedJobs(one, jobs, queue, loaded))
    return found


def _bundle(planned: Planned) -> Bundle | None:
    """Return the code that the jobs of a plan load: that of its folder, if it was saved."""
    if not planned.folder:
        return bundle_to_make(planned)
    if planned.bundle is None:
        return None
    from marin_build.operations.engine_jobs.code_bundle import read_bundle

    return read_bundle(planned.folder, planned.bundle)


def bundle_to_make(planned: Planned) -> Bundle | None:
    """Return the bundle of the project's code as it is now, if the jobs of a plan load one.

    Raises:
        UsageError: it cannot be made.

    """
    engine, plan = planned.engine, planned.decided
    limit = engine.bundle_limit
    is_mixed = engine.capabilities.has_queue and not engine.capabilities.detaches
    takes_some = any(queued_targets(plan, engine).values()) if is_mixed else bool(plan.to_build)
    if limit is None or not takes_some:
        return None
    from marin_build.operations.engine_jobs.code_bundle import make_bundle

    return make_bundle(planned.loaded, limit)


def mark_forced(loaded: Loaded, plan: Plan, queued: Collection[int]) -> None:
    """Mark what is built, and to be built again by a job: a job only knows what the store says.

    The marks end when it is rebuilt.

    Raises:
        StoreError: the store cannot be written.

    """
    forced = plan.rebuilt_anyway & set(queued)
    if not forced:
        return
    from marin_build.protocol.taints import Taint, put_taints
    from marin_build.text.moments import stamp_now

    targets = plan.targets
    entries = {}
    for index in sorted(forced):
        built = plan.snapshot.of(index).built
        if built is not None:
            entries[index] = [(targets.all[index].id, built.run)]
    taint = Taint("it is rebuilt as its plan says", loaded.host.worker, stamp_now("seconds"))
    put_taints(loaded.store, targets, entries, taint)


def forget_marks(loaded: Loaded, plan: Plan, queued: Collection[int]) -> None:
    """Take away the marks of what was rebuilt."""
    forced = plan.rebuilt_anyway & set(queued)
    if not forced:
        return
    from marin_build.observe.read_taints import read_taints
    from marin_build.protocol.taints import forget_taints

    with suppress(StoreError):
        still = read_taints(loaded.store, plan.targets, forced)
        forget_taints(loaded.store, plan.targets, forced - still.keys())


def _rendered(planned: Planned, bundle: Bundle | None) -> Mapping[str, str]:
    from marin_build.engines.emission import emit_for
    from marin_build.operations.loading.find_pipeline import refuse_without_file

    loaded = planned.loaded
    refuse_without_file(loaded.pipeline.program, "no job can be written")
    return emit_for(
        planned.engine,
        planned.decided,
        pipeline=loaded.file,
        parameters=loaded.pipeline.parameters,
        overrides=loaded.settings.templates,
        secrets=loaded.settings.secrets,
        bundle=bundle.name if bundle is not None else None,
    )


def _from_folder(folder: str) -> Callable[[str], str]:
    def read(path: str) -> str:
        try:
            return read_regular(os.path.join(folder, path)).decode()
        except (OSError, UnicodeDecodeError) as error:
            raise StoppedError(
                f"cannot read `{path}` of the plan",
                facts=[("reason", str(getattr(error, "strerror", error)).lower())],
                consequence="nothing was submitted",
                hint="make the plan again",
            ) from error

    return read
