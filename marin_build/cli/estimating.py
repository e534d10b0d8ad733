"""How long a plan may take and what it may cost, from the records of earlier builds."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from marin_build.cli.budgets import capacity_here, capacity_if_limited
from marin_build.cli.expecting import seconds_by_name
from marin_build.estimate import PlanEstimate, estimate_plan, estimate_steps
from marin_build.plan import Kind

if TYPE_CHECKING:
    from collections.abc import Mapping

    from marin_build.capacity import Limits
    from marin_build.cli.loading import Declared
    from marin_build.plan import Plan
    from marin_build.prices import Prices


def estimate_for(
    loaded: Declared,
    plan: Plan,
    engine: str,
    jobs: int | None = None,
    budgets: Mapping[str, str] | None = None,
) -> PlanEstimate:
    """Return the estimate of a plan that was made with its history.

    Args:
        loaded: its pipeline.
        plan: the plan.
        engine: what runs it.
        jobs: how many targets run at once; None: as configured, or as many as there are cores.
        budgets: what there is of what steps take, beside what is configured and found here.

    Raises:
        UsageError: the project's file of prices is not readable.

    """
    targets = plan.targets
    has_price = any(targets.all[index].step.resources is not None for index in plan.to_build)
    steps = estimate_steps(
        targets,
        plan.to_build,
        seconds_by_name(targets, plan.snapshot.earlier),
        _prices(loaded) if has_price else None,
        waiting=[decision.index for decision in plan.of_kind(Kind.WAIT)],
        elsewhere=engine != "local",
    )
    jobs = jobs or loaded.settings.jobs or os.cpu_count() or 1
    limits = _limits(loaded, plan, jobs, budgets or {}) if engine == "local" else None
    return estimate_plan(steps, targets.deps, jobs, limits)


def _limits(loaded: Declared, plan: Plan, jobs: int, budgets: Mapping[str, str]) -> Limits | None:
    """Return what the steps of a plan may take of this machine together; None: all they like."""
    configured = loaded.settings.budgets
    capacity = capacity_if_limited(
        plan, capacity_here(configured, budgets), {*configured, *budgets}
    )
    if capacity is None:
        return None
    from marin_build.capacity import limits_of

    return limits_of(capacity, {i: plan.targets.all[i].step for i in plan.to_build}, jobs)


def _prices(loaded: Declared) -> Prices:
    from marin_build.prices import load_prices

    given = loaded.settings.prices
    return load_prices(os.path.join(loaded.workspace.project, given) if given else None)
