"""The document of a plan: what plan.json says of each decision."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from marin_build.plan.decisions import Kind
from marin_build.plan.document import (
    DecisionDocument,
    ExpansionDocument,
    PlanDocument,
    PrunedDocument,
)
from marin_build.plan.pinned_settings import pinned_settings
from marin_build.plan.plan_id import plan_id
from marin_build.plan.reason_facts import stable_facts
from marin_build.plan.reason_text import reason_kind
from marin_build.plan.reasons import Adopted
from marin_build.workspace.workspace import relative

if TYPE_CHECKING:
    from collections.abc import Mapping

    from marin_build.plan.decisions import Decision, Plan
    from marin_build.plan.drift import Drift


def plan_document(
    plan: Plan,
    *,
    pipeline: str,
    parameters: Mapping[str, str],
    engine: str,
    pin_code: bool,
    show_pruned: bool = False,
    drift: Mapping[int, Drift] | None = None,
    pipeline_digest: str = "",
) -> PlanDocument:
    """Return a plan as a document.

    Args:
        plan: the plan.
        pipeline: the pipeline, as `-f` names it, relative to the project.
        parameters: its `--set` values.
        engine: the name of the engine.
        pin_code: whether to keep the code digest and the settings of each target to build.
        show_pruned: whether to list pruned targets among the decisions, too.
        drift: how reused and pruned targets drifted, by index; pruned ones among them are listed.
            None for a saved plan, which must not depend on the machine.
        pipeline_digest: sha-256 of the pipeline's file; empty: the plan is not replayed.

    """
    targets, workspace = plan.targets, plan.targets.workspace
    drift = drift or {}
    documents = [_decision(plan, decision, pin_code=pin_code) for decision in plan.decisions]
    pruned = plan.pruned_indices
    listed = pruned if show_pruned else [index for index in pruned if index in drift]
    documents += [_entry(plan, index, "pruned", []) for index in listed]
    if drift:
        facts = {targets.all[index].id: tuple(item.facts) for index, item in drift.items()}
        documents = [replace(each, drift=facts.get(each.target, ())) for each in documents]
    return PlanDocument(
        plan_id=plan_id(plan, pipeline, parameters, engine),
        pipeline=pipeline,
        pipeline_digest=pipeline_digest,
        parameters=dict(parameters),
        prefix=relative(workspace.prefix, workspace),
        engine=engine,
        code=workspace.code,
        requested=tuple(targets.all[i].id for i in plan.requested),
        summary={**plan.counts(), "pruned": len(pruned)},
        decisions=tuple(documents),
        expansions=tuple(
            ExpansionDocument(
                later.name, later.place, tuple(targets.all[index].id for index in later.sources)
            )
            for later in (targets.later[index] for index in plan.waiting)
        ),
        pruned=tuple(_pruned(plan, index) for index in pruned),
    )


def _decision(plan: Plan, decision: Decision, *, pin_code: bool) -> DecisionDocument:
    reason = decision.reason
    facts = [{"kind": reason_kind(each), **stable_facts(each)} for each in decision.reasons]
    if isinstance(reason, Adopted):
        facts[0]["location"] = relative(reason.location, plan.targets.workspace)
    step = plan.targets.all[decision.index].step
    is_pinned = pin_code and decision.kind in (Kind.RUN, Kind.WAIT)
    digest = step.code_digest if is_pinned else None
    settings = pinned_settings(step) if is_pinned else None
    return _entry(plan, decision.index, decision.kind.value, facts, digest, settings)


def _entry(
    plan: Plan,
    index: int,
    kind: Any,
    facts: list[dict[str, Any]],
    digest: str | None = None,
    settings: dict[str, Any] | None = None,
) -> DecisionDocument:
    targets, workspace = plan.targets, plan.targets.workspace
    target = targets.all[index]
    step = target.step
    return DecisionDocument(
        name=target.name,
        target=target.id,
        output_path=relative(target.output_path, workspace),
        fingerprint=target.fingerprint,
        decision=kind,
        reasons=tuple(facts),
        deps=tuple(targets.all[dep].id for dep in targets.deps[index]),
        resources=step.resources.summary() if step.resources is not None else None,
        code_digest=digest,
        settings=settings,
        declared=f"{relative(step.declared[0], workspace)}:{step.declared[1]}",
        payload=step.payload,
    )


def _pruned(plan: Plan, index: int) -> PrunedDocument:
    workspace = plan.targets.workspace
    target = plan.targets.all[index]
    file, line = target.step.declared
    return PrunedDocument(target.id, f"{relative(file, workspace)}:{line}", target.step.payload)
