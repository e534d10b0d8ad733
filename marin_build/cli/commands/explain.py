"""`marin-build explain`: why one target is built, or is not."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from marin_build.cli.options import PipelineOptions, pipeline_options
from marin_build.errors import UsageError

if TYPE_CHECKING:
    from marin_build.cli.session import Loaded
    from marin_build.plan import Decision, Plan


@click.command("explain")
@click.argument("target")
@click.option("--json", "as_json", is_flag=True, help="One JSON document.")
@pipeline_options
def command(options: PipelineOptions, target: str, *, as_json: bool) -> int:
    """Say all that is known about why a target is built, or is not.

    If it was built with another identity, every leaf that differs is listed, and the build it was
    compared with.
    """
    from marin_build.cli.session import load, plan_for
    from marin_build.selection import select

    loaded = load(options, only=target)
    chosen = select(loaded.targets, [target])
    if len(chosen) != 1:
        raise UsageError(
            f"`{target}` stands for {len(chosen)} targets; one is explained at a time",
            hint="marin-build plan -v shows them all",
        )
    plan = plan_for(loaded, [loaded.targets.all[chosen[0]].name], history=True)
    (decision,) = [d for d in plan.decisions if d.index == chosen[0]]
    if as_json:
        _show_json(plan, decision)
    else:
        for label, text in _facts(loaded, plan, decision):
            click.echo(f"{label:<10}{text}")
    return 0


def _show_json(plan: Plan, decision: Decision) -> None:
    import json

    from marin_build.explain import describe, reason_kind, stable_facts

    target = plan.targets.all[decision.index]
    document = {
        "name": target.name,
        "target": target.id,
        "decision": decision.kind.value,
        "reason": {"kind": reason_kind(decision.reason), **stable_facts(decision.reason)},
        "text": describe(decision.reason),
    }
    sys.stdout.write(json.dumps(document, indent=1) + "\n")


def _facts(loaded: Loaded, plan: Plan, decision: Decision) -> list[tuple[str, str]]:
    """Return what there is to say, label by label."""
    from marin_build.declared import shown
    from marin_build.explain import describe
    from marin_build.leaves import describe_value
    from marin_build.reasons import IdentityChanged

    target, reason = plan.targets.all[decision.index], decision.reason
    facts = [
        ("target", target.id),
        ("decision", f"{decision.kind.value}: {describe(reason)}"),
        ("declared", shown(target.step.declared, loaded.workspace.project)),
        ("output", target.output_path),
    ]
    if isinstance(reason, IdentityChanged):
        when = reason.at[:16].replace("T", " ")
        facts.append(
            ("compared", f"with {reason.since}, built {when} by {reason.by}, run {reason.run}")
        )
        for change in reason.changes:
            old, new = describe_value(change.old), describe_value(change.new)
            because = f"  ({change.because})" if change.because else ""
            facts.append(("changed", f"{change.path}  {old} -> {new}{because}"))
    deps = [plan.targets.all[dep].id for dep in plan.targets.deps[decision.index]]
    facts += [("needs", dep) for dep in deps]
    return facts
