"""What a plan takes and costs, in one line."""

from __future__ import annotations

from typing import TYPE_CHECKING

from marin_build.text.readable import cost_text, duration_text

if TYPE_CHECKING:
    from marin_build.plan.estimate import PlanEstimate


def summary_text(plan: PlanEstimate) -> str:
    """Return the estimate of a plan in one line: `about 11 h on the critical path, $2,448`.

    If `-j` makes it longer: `about 14 h with -j 2, 11 h on the critical path, $2,448`. If the
    amounts of the machine do: `about 20 h with -j 2 and the resources here, 11 h on ...`.
    Empty if there is nothing to build.
    """
    parts = []
    if plan.no_history < len(plan.steps):
        parts.append(_known_text(plan))
    if plan.no_history:
        parts.append(f"no history: {plan.no_history} of {len(plan.steps)}")
    if plan.no_price:
        parts.append(f"no price: {plan.no_price} of {len(plan.steps)}")
    return "; ".join(parts)


def _known_text(plan: PlanEstimate) -> str:
    words = "about" if plan.is_complete else "at least"
    critical, total = duration_text(plan.critical_seconds), duration_text(plan.total_seconds)
    also = " and the resources here" if plan.is_limited else ""
    with_jobs = f"{total} with -j {plan.jobs}{also}, " if total != critical else ""
    in_queues = duration_text(plan.queued_seconds)
    waiting = f" ({in_queues} of it in queues)" if plan.queued_seconds >= 1.0 else ""
    text = f"{words} {with_jobs}{critical} on the critical path{waiting}"
    if plan.cost is None:
        return text
    of_cost = "about" if plan.cost_is_complete else "at least"
    return (
        f"{text}, {cost_text(plan.cost)}"
        if of_cost == words
        else (f"{text}, {of_cost} {cost_text(plan.cost)}")
    )
