"""A plan for one machine: what it can never run is blocked, and so is what needs that. Pure."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from marin_build import reasons as why
from marin_build.capacity import unmet
from marin_build.plan import Decision, Kind

if TYPE_CHECKING:
    from collections.abc import Callable

    from marin_build.capacity import Capacity
    from marin_build.plan import Plan


def fit(plan: Plan, capacity: Callable[[], Capacity]) -> Plan:
    """Return the plan with the steps BLOCKED that cannot run on a machine.

    What somebody else builds now is waited for, whatever it needs.

    Args:
        plan: for whatever machine.
        capacity: what the machine has; asked for only if a step to build declares what it needs.

    """
    targets = plan.targets
    asking = [
        decision.index
        for decision in plan.of_kind(Kind.RUN)
        if targets.all[decision.index].step.resources is not None
        or targets.all[decision.index].step.budgets
    ]
    if not asking:
        return plan
    here = capacity()
    refused = {i: reason for i in asking if (reason := unmet(targets.all[i].step, here))}
    if not refused:
        return plan
    blocked: dict[int, Decision] = {}
    for decision in plan.decisions:  # topological: what it needs comes before
        if decision.kind not in (Kind.RUN, Kind.WAIT):
            continue
        index = decision.index
        above = next((dep for dep in targets.deps[index] if dep in blocked), None)
        if index in refused:
            blocked[index] = Decision(index, Kind.BLOCKED, refused[index])
        elif above is not None:
            reason = why.UpstreamBlocked(targets.all[above].id)
            blocked[index] = Decision(index, Kind.BLOCKED, reason)
    return replace(plan, decisions=tuple(blocked.get(d.index, d) for d in plan.decisions))
