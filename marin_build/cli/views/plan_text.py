"""A plan for people."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from marin_build.code.drift import drift_lines
from marin_build.declared import shown
from marin_build.estimate import cost_text, duration_text, summary_text
from marin_build.explain import describe, reason_kind
from marin_build.plan import Kind

if TYPE_CHECKING:
    from collections.abc import Mapping

    from marin_build.code.drift import Drift
    from marin_build.estimate import Estimate, PlanEstimate
    from marin_build.plan import Decision, Plan

_LONG = 60.0
"""Seconds from which on a plan says how long it may take: nobody plans by less."""
_SYMBOLS = {
    "never_built": ("+", "build", "green"),
    "cascade": ("!", "cascade", "yellow"),
}
_KINDS = {
    Kind.RUN: ("~", "rebuild", "yellow"),
    Kind.REUSE: ("=", "reuse", "bright_black"),
    Kind.WAIT: ("?", "wait", "cyan"),
    Kind.BLOCKED: ("x", "blocked", "red"),
}


def show_plan(
    plan: Plan,
    plan_id: str,
    again: str,
    estimate: PlanEstimate,
    drift: Mapping[int, Drift],
    *,
    verbose: bool,
) -> None:
    """Print a plan.

    Args:
        plan: the plan.
        plan_id: its short name.
        again: the command that runs it.
        estimate: how long it may take, and what it may cost.
        drift: how the code of reused and pruned targets changed since they were built, by index.
        verbose: show reused targets too, and where each step is declared.

    """
    is_long = (estimate.total_seconds or 0.0) >= _LONG
    shown_decisions = [
        d for d in plan.decisions if d.index not in drift and (verbose or d.kind is not Kind.REUSE)
    ]
    lines = drift_lines(drift)
    shown_targets = [d.index for d in shown_decisions]
    shown_targets += [line.targets[0] for line in lines if len(line.targets) == 1]
    names = {index: plan.targets.all[index].id for index in shown_targets}
    width = min(max(map(len, names.values()), default=0), 60)
    for decision in shown_decisions:
        one = estimate.steps.get(decision.index) if is_long else None
        click.echo(_line(plan, decision, names[decision.index], width, one, verbose=verbose))
    for line in lines:
        many = f"{len(line.targets)} targets"
        click.echo(_drift_line(names.get(line.targets[0], many), width, line.text))
    counts = plan.summary()
    folded = counts["reuse"] + counts["pruned"] - len(drift)
    if folded and not verbose:
        click.secho(f"  = {folded} reused, not shown (-v shows them)", fg="bright_black")
    click.echo(_summary(plan_id, counts, estimate))
    if counts["run"]:
        click.echo(f"to build it: {again}")
    elif not counts["wait"] and not counts["blocked"]:
        click.echo("nothing to do: everything requested is built")


def _line(
    plan: Plan,
    decision: Decision,
    name: str,
    width: int,
    estimate: Estimate | None,
    *,
    verbose: bool,
) -> str:
    kind = reason_kind(decision.reason)
    symbol, verb, colour = _SYMBOLS.get(kind, _KINDS[decision.kind])
    step = plan.targets.all[decision.index].step
    resources = f"  {step.resources.summary()}" if step.resources is not None else ""
    if estimate is not None and estimate.seconds is not None:
        resources += f"  {duration_text(estimate.seconds)}"
        if estimate.cost is not None:
            resources += f"  {cost_text(estimate.cost)}"
    place = f"  ({shown(step.declared, plan.targets.workspace.project)})" if verbose else ""
    head = click.style(f"  {symbol} {verb:<8}", fg=colour)
    return f"{head} {name:<{width}}  {describe(decision.reason)}{resources}{place}"


def _drift_line(name: str, width: int, text: str) -> str:
    head = click.style("  ~ drift   ", fg="magenta")
    return f"{head} {name:<{width}}  {text}; reused"


def _summary(plan_id: str, counts: dict[str, int], estimate: PlanEstimate) -> str:
    parts = [f"{counts['run']} to build"]
    for key, words in (("wait", "built by somebody else"), ("blocked", "blocked")):
        if counts[key]:
            parts.append(f"{counts[key]} {words}")
    parts.append(f"{counts['reuse'] + counts['pruned']} reused")
    is_long = (estimate.total_seconds or 0.0) >= _LONG
    text = f" - {summary_text(estimate)}" if is_long else ""
    return f"plan {plan_id}: {', '.join(parts)}{text}"
