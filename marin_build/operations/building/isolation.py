"""How steps are kept apart on this machine: in processes, workers, threads, or by an engine."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from marin_build.errors import UsageError
from marin_build.plan.capacity import GPU, needs_of

if TYPE_CHECKING:
    from collections.abc import Collection

    from marin_build.operations.building.prepare_apply import Terms
    from marin_build.operations.loading.options import PipelineOptions
    from marin_build.plan.decisions import Plan
    from marin_build.run_step.body import Bodies
    from marin_build.run_step.session import Session
    from marin_build.run_step.workers import Isolation


ISOLATIONS = ("process", "worker", "thread")


def with_isolation(options: PipelineOptions, terms: Terms) -> tuple[PipelineOptions, Terms]:
    """Return options and terms in which an isolation that is an engine's work is that engine.

    An engine isolates if steps run on this machine in jobs of its own: a container, as a rule.

    Raises:
        UsageError: the options name another engine.

    """
    name = terms.isolation
    if name is None or name in ISOLATIONS or not isolates(name):
        return options, terms
    if options.engine not in {None, name}:
        raise UsageError(
            f"`--isolation {name}` chooses the engine `{name}`, "
            f"and `--engine {options.engine}` another one",
            consequence="nothing was run",
            hint="leave out one of them",
        )
    return replace(options, engine=name), replace(terms, isolation=None)


def isolates(name: str) -> bool:
    """Return whether an engine of that name runs steps on this machine in jobs of its own."""
    from marin_build.engines.registry import is_engine, open_engine

    if not is_engine(name):
        return False
    capabilities = open_engine(name, {}).capabilities
    return capabilities.uses_this_machine and capabilities.has_queue


def check_isolation(plan: Plan, name: str, elsewhere: Collection[int]) -> None:
    """Refuse an isolation that a plan cannot have, before anything is made for the run.

    Args:
        plan: what is to be built.
        name: the isolation.
        elsewhere: the targets that are not built in it.

    Raises:
        UsageError: the name is unknown, or a step cannot run in a thread.

    """
    if name not in ISOLATIONS:
        raise _unknown_isolation(name)
    if name == "thread":
        _check_threads(plan, elsewhere)


def make_isolation(session: Session, name: str, jobs: int) -> Isolation:
    """Return the isolation of a name that was checked.

    Raises:
        UsageError: this machine cannot run so many steps at once.

    """
    try:
        return _isolation(session, name, jobs)
    except (OSError, RuntimeError) as error:  # no more descriptors, memory, processes or threads
        why = str(error.strerror if isinstance(error, OSError) else error)
        raise UsageError(
            f"cannot run {jobs} steps at once",
            facts=[("reason", why.lower())],
            consequence="nothing was run",
            hint="give a smaller -j, or raise the limits that `ulimit -a` shows",
        ) from error


def _isolation(session: Session, name: str, jobs: int) -> Isolation:
    bodies: Bodies
    if name == "thread":
        from marin_build.run_step.thread_bodies import ThreadBodies

        bodies = ThreadBodies(session)
    else:
        from marin_build.run_step.fork.bodies import ForkBodies

        bodies = ForkBodies(session, jobs, reuse=name == "worker")
    # Imported after the fork: supervisors take pydantic, and each step in a process of its own
    # would pay for the memory that holds it.
    from marin_build.run_step.supervisor_pool import SupervisorPool

    return SupervisorPool(session, bodies, jobs)


def _unknown_isolation(name: str) -> UsageError:
    # On the command line such a name chooses the engine; a configuration names the engine itself.
    hint = f'it is an engine: engine = "{name}"' if isolates(name) else None
    known = ", ".join(ISOLATIONS)
    return UsageError(f"unknown isolation `{name}`", facts=[("known", known)], hint=hint)


def _check_threads(plan: Plan, elsewhere: Collection[int]) -> None:
    """Refuse steps that need a process of their own."""
    for index in plan.to_build:
        if index in elsewhere:
            continue
        step = plan.targets.all[index].step
        has_own = step.env_vars or step.timeout is not None
        if has_own or GPU in dict(needs_of(step)):
            what = "it has env_vars or a timeout" if has_own else "it gets GPUs of its own"
            raise UsageError(
                f"`{step.name}` cannot run in a thread: {what}",
                consequence="nothing was run",
                hint="leave out --isolation thread",
            )
