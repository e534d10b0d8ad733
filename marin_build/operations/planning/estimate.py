"""How long a plan and its steps may take and what they may cost, from records of earlier builds."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from marin_build.errors import StoreError
from marin_build.operations.planning.budgets import capacity_here, capacity_if_limited
from marin_build.plan.decisions import Kind
from marin_build.plan.estimate import PlanEstimate, estimate_plan, estimate_steps

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from marin_build.engines.base import Engine
    from marin_build.operations.loading.config import Settings
    from marin_build.operations.loading.loading import Declared, Loaded
    from marin_build.pipeline.targets import Targets
    from marin_build.plan.capacity import Limits
    from marin_build.plan.decisions import Plan
    from marin_build.plan.prices import Prices
    from marin_build.plan.snapshot import Earlier


def estimate_for(
    loaded: Declared,
    plan: Plan,
    engine: Engine[Any],
    jobs: int | None = None,
    budgets: Mapping[str, str] | None = None,
) -> PlanEstimate:
    """Return the estimate of a plan that was made with its history.

    Args:
        loaded: its pipeline.
        plan: the plan.
        engine: what runs it.
        jobs: how many targets run at once; None: as configured, or as many as there are cores.
        budgets: name -> amount of what steps take, in place of one configured or found here.

    Raises:
        UsageError: the project's file of prices is not readable.

    """
    targets = plan.targets
    asking = targets.traits.with_needs.intersection(plan.to_build)
    has_price = any(targets.all[index].step.resources is not None for index in asking)
    history = seconds_by_name(targets, plan.snapshot.earlier)
    steps = estimate_steps(
        targets,
        plan.to_build,
        history,
        prices_of(loaded) if has_price else None,
        waiting=[decision.index for decision in plan.of_kind(Kind.WAIT)],
        is_here=engine.is_here,
        queued=_queued_by_name(plan) if engine.queues else {},
    )
    jobs = jobs or loaded.settings.jobs or os.cpu_count() or 1
    if not any(history.values()):
        return estimate_plan(steps, targets.deps, jobs)  # no amount limits what nobody knows
    here = [i for i in plan.to_build if engine.is_here(targets.all[i].step)]
    limits = _limits(loaded, plan, here, jobs, budgets or {})
    return estimate_plan(steps, targets.deps, jobs, limits)


def _limits(
    loaded: Declared, plan: Plan, here: Sequence[int], jobs: int, budgets: Mapping[str, str]
) -> Limits | None:
    """Return what the steps of a plan may take of this machine together; None: no limit."""
    steps = {i: plan.targets.all[i].step for i in here}
    configured = loaded.settings.budgets
    capacity = capacity_if_limited(
        steps.values(), capacity_here(configured, budgets), {*configured, *budgets}
    )
    if capacity is None:
        return None
    from marin_build.plan.capacity import limits_of

    return limits_of(capacity, steps, jobs)


def prices_of(loaded: Declared) -> Prices:
    """Return the prices that estimates count with.

    Raises:
        UsageError: the project's file of prices is not readable.

    """
    return configured_prices(loaded.settings, loaded.workspace.project)


def configured_prices(settings: Settings, project: str) -> Prices:
    """Return our list prices, overlaid with those of the file that the configuration names.

    Raises:
        UsageError: that file is not readable.

    """
    from marin_build.plan.prices import load_prices

    given = settings.prices
    return load_prices(os.path.join(project, given) if given else None)


_MOST = 256
"""How many records of earlier builds are read: one batch. If there are more steps to build, they
are quick, or so many that no order leaves a machine idle for long."""


def expected_seconds(
    loaded: Loaded, plan: Plan, jobs: int, *, is_shown: bool = False
) -> dict[int, float]:
    """Return target -> the seconds it may take; targets of unknown duration are missing.

    `plan` estimates by the same records, if these are not too many. If every ready step finds a
    slot, there is no order to choose: then nothing is read, unless a view shows the times
    (`is_shown`).
    """
    count = len(plan.to_build)
    if not (0 if is_shown else jobs) < count <= _MOST:
        return {}
    from marin_build.observe.read_history import read_history
    from marin_build.plan.estimate import typical

    try:
        earlier = plan.snapshot.earlier or read_history(
            loaded.store, plan.targets, plan.to_build, most=_MOST // count
        )
    except StoreError:
        return {}  # the order does not matter to what is built
    found = seconds_by_name(plan.targets, earlier)
    typicals = {name: known.seconds for name, s in found.items() if (known := typical(s))}
    names = {index: plan.targets.all[index].name for index in plan.to_build}
    return {index: typicals[name] for index, name in names.items() if name in typicals}


def _queued_by_name(plan: Plan) -> dict[str, list[float]]:
    """Return name of a step -> the seconds that jobs of its earlier builds waited in a queue."""
    return {
        plan.targets.all[index].name: [
            waited for each in builds if (waited := each.built.queued_seconds) is not None
        ]
        for index, builds in plan.snapshot.earlier.items()
    }


def seconds_by_name(
    targets: Targets, earlier: Mapping[int, tuple[Earlier, ...]]
) -> dict[str, list[float]]:
    """Return name of a step -> the seconds its earlier builds took."""
    return {
        # Adopting data took no time, unless the data's own record says how long it took.
        targets.all[index].name: [each.built.seconds for each in builds if each.built.seconds]
        for index, builds in earlier.items()
    }
