"""`marin-build explain`: why one target is built, or is not."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import click

from marin_build.cli.options import pipeline_options
from marin_build.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from marin_build.engines.base import Engine
    from marin_build.observe.read_drift import FoundDrift
    from marin_build.operations.loading import Loaded
    from marin_build.operations.options import PipelineOptions
    from marin_build.plan.decisions import Decision, Plan
    from marin_build.plan.drift import Drift
    from marin_build.plan.reasons import Change


@click.command("explain")
@click.argument("target")
@click.option("--code", "show_source", is_flag=True, help="Show how its code changed.")
@click.option("--json", "as_json", is_flag=True, help="One JSON document.")
@pipeline_options
def command(options: PipelineOptions, target: str, *, show_source: bool, as_json: bool) -> int:
    """Say all that is known about why a target is built, or is not.

    If it was built with another identity, every leaf that differs is listed, and the build it was
    compared with. `--code` compares the code of today with that of this build, or with that of the
    output which is reused: normalised source, captured values, environment, and what cannot be
    seen.
    """
    from marin_build.observe.read_causes import with_causes
    from marin_build.observe.read_drift import find_drift
    from marin_build.operations.budgets import capacity_here, fitted
    from marin_build.operations.loading import chosen_engine, environments_for, load
    from marin_build.operations.plan import plan_for
    from marin_build.plan.selection import select

    loaded = load(options, only=target)
    chosen = select(loaded.targets, [target])
    if len(chosen) != 1:
        raise UsageError(
            f"`{target}` stands for {len(chosen)} targets; one is explained at a time",
            hint="marin-build plan -v shows them all",
        )
    plan = plan_for(loaded, [loaded.targets.all[chosen[0]].name], history=True)
    engine = chosen_engine(loaded, options)
    plan = fitted(plan, engine, capacity_here(loaded.settings.budgets, {}))
    found = find_drift(
        loaded.store, with_causes(loaded.store, plan), environments_for(loaded, engine)
    )
    plan = found.plan
    (decision,) = [d for d in plan.decisions if d.index == chosen[0]]
    code = _code(loaded, found, decision, engine) if show_source else None
    if as_json:
        _show_json(plan, decision, found.drift, code)
        return 0
    for label, text in _facts(loaded, plan, decision, found.drift):
        click.echo(f"{label:<10}{text}")
    if code is not None:
        from marin_build.cli.views.explain_text import show_code

        show_code(*code)
    return 0


def _code(
    loaded: Loaded, found: FoundDrift, decision: Decision, engine: Engine[Any]
) -> tuple[Drift | None, Sequence[str]]:
    """Return how the code of a target differs from what built it, and what of it is unseen."""
    from marin_build.identity.code.digest import code_of
    from marin_build.identity.code.document import code_document
    from marin_build.observe.read_causes import drift_since_earlier
    from marin_build.observe.read_drift import find_drift
    from marin_build.operations.loading import environments_for
    from marin_build.plan.decisions import Kind
    from marin_build.plan.drift import Drift as NoDrift
    from marin_build.plan.reasons import Accepted

    plan = found.plan

    fn = plan.targets.all[decision.index].step.fn
    unseen = code_document(code_of(fn)).unseen if fn is not None else ()
    if decision.kind is not Kind.REUSE:
        return drift_since_earlier(loaded.store, plan, [decision]).get(decision.index), unseen
    built = plan.snapshot.of(decision.index).built
    if built is None or built.code_digest is None:
        return None, unseen
    if isinstance(decision.reason, Accepted):  # what was accepted is what is to be seen
        found = find_drift(
            loaded.store, plan, environments_for(loaded, engine), heed_accepted=False
        )
    return found.drift.get(decision.index, NoDrift()), unseen


def _show_json(
    plan: Plan,
    decision: Decision,
    drift: Mapping[int, Drift],
    code: tuple[Drift | None, Sequence[str]] | None,
) -> None:
    import json

    from marin_build.cli.views.plan_json import reason_json

    target = plan.targets.all[decision.index]
    document: dict[str, object] = {
        "name": target.name,
        "target": target.id,
        "decision": decision.kind.value,
        "reason": reason_json(decision.reason),
        "drift": [
            {"target": plan.targets.all[index].id, **facts}
            for index, item in drift.items()
            for facts in item.facts
        ],
    }
    if code is not None:
        from marin_build.cli.views.explain_text import code_facts

        document["code"] = code_facts(*code)
    sys.stdout.write(json.dumps(document, indent=1) + "\n")


def _facts(
    loaded: Loaded, plan: Plan, decision: Decision, drift: Mapping[int, Drift]
) -> list[tuple[str, str]]:
    """Return what there is to say, label by label."""
    from marin_build.pipeline.declared_at import shown
    from marin_build.plan.reason_text import describe
    from marin_build.plan.reasons import Adopted, IdentityChanged

    target, reason = plan.targets.all[decision.index], decision.reason
    facts = [
        ("target", target.id),
        ("decision", f"{decision.kind.value}: {describe(reason)}"),
        ("declared", shown(target.step.declared, loaded.workspace.project)),
        ("output", target.output_path),
    ]
    if isinstance(reason, Adopted):
        facts.append(("adopted", f"{reason.at[:16].replace('T', ' ')} by {reason.by}"))
        if note := _note(loaded, target.output_path):
            facts.append(("because", note))
    if isinstance(reason, IdentityChanged):
        when = reason.at[:16].replace("T", " ")
        facts.append(
            ("compared", f"with {reason.since}, built {when} by {reason.by}, run {reason.run}")
        )
        facts += [("changed", _change(change)) for change in reason.changes]
    for index, item in drift.items():
        where = "" if index == decision.index else f"{plan.targets.all[index].id}: "
        facts.append(("drift", f"{where}{item.text}"))
        leaves = item.identity.changes if item.identity is not None else ()
        for change in leaves if index == decision.index else ():
            facts.append(("changed", _change(change)))
    deps = [plan.targets.all[dep].id for dep in plan.targets.deps[decision.index]]
    facts += [("needs", dep) for dep in deps]
    return facts


def _change(change: Change) -> str:
    """Return one leaf that differs, with both its values."""
    from marin_build.plan.payload_diff import describe_value
    from marin_build.text import printable

    because = f"  ({change.because})" if change.because else ""
    if change.path == "code":  # nobody reads digests
        return printable(change.text + because)
    old, new = describe_value(change.old), describe_value(change.new)
    return printable(f"{change.path}  {old} -> {new}{because}")


def _note(loaded: Loaded, output: str) -> str:
    """Return why an output was adopted, in the words of who did it, on one line."""
    from marin_build.protocol.layout import RECORD
    from marin_build.protocol.record_reader import record_of_ours
    from marin_build.text import printable

    blob = loaded.store.get(f"{output}/{RECORD}")
    return printable((record_of_ours(blob.data) if blob is not None else {}).get("note") or "")
