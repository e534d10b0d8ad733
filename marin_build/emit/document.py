"""plan.json: the plan as a document, without times, hosts and absolute places."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Literal

from pydantic import BaseModel, ConfigDict

from marin_build.code import code_digest
from marin_build.emit.plan_id import plan_id, relative, text_digest
from marin_build.explain import reason_kind, stable_facts
from marin_build.plan import Kind

if TYPE_CHECKING:
    from collections.abc import Mapping

    from marin_build.code.drift import Drift
    from marin_build.plan import Decision, Plan

SCHEMA_VERSION = 1
INSISTING = ("forced", "dev_version", "cascade")
"""Reasons to build a target although it is built."""


class _Document(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class DecisionDocument(_Document):
    """One target's decision."""

    name: str
    target: str
    output_path: str
    fingerprint: str
    decision: Literal["run", "reuse", "wait", "blocked", "pruned"]
    reasons: tuple[dict[str, Any], ...]
    drift: tuple[dict[str, Any], ...] = ()
    deps: tuple[str, ...]
    resources: str | None
    code_digest: str | None = None
    declared: str


class PlanDocument(_Document):
    """The whole plan."""

    schema_version: Literal[1] = 1
    plan_id: str
    pipeline: str
    parameters: dict[str, str]
    prefix: str
    engine: str
    code: Literal["report", "rebuild", "ignore"] | None = None
    requested: tuple[str, ...]
    summary: dict[str, int]
    decisions: tuple[DecisionDocument, ...]
    files: dict[str, str] = {}
    digest: str = ""

    def sealed(self, files: Mapping[str, str]) -> PlanDocument:
        """Return the document with the digests of the emitted files, and its own."""
        digests = {path: text_digest(text) for path, text in sorted(files.items())}
        unsealed = self.model_copy(update={"files": digests, "digest": ""})
        return unsealed.model_copy(update={"digest": unsealed.own_digest()})

    def own_digest(self) -> str:
        """Return the digest of everything but the digest."""
        return text_digest(
            json.dumps(self.model_dump(mode="json", exclude={"digest"}), sort_keys=True)
        )

    def to_text(self) -> str:
        """Return the bytes of plan.json, as text."""
        return json.dumps(self.model_dump(mode="json"), indent=1, sort_keys=True) + "\n"


def plan_document(
    plan: Plan,
    *,
    pipeline: str,
    parameters: Mapping[str, str],
    engine: str,
    pin_code: bool,
    show_pruned: bool = False,
    drift: Mapping[int, Drift] | None = None,
) -> PlanDocument:
    """Return a plan as a document.

    Args:
        plan: the plan.
        pipeline: the pipeline file, relative to the project.
        parameters: its `--set` values.
        engine: where actions run.
        pin_code: pin the code of what is to be built.
        show_pruned: list the targets that were not looked at, too.
        drift: how reused targets drifted, by index; those that were not looked at are listed. Not
            for a saved plan: it is the same on machines that would say otherwise.

    """
    targets, workspace = plan.targets, plan.targets.workspace
    drift = drift or {}
    documents = [_decision(plan, decision, pin_code=pin_code) for decision in plan.decisions]
    if show_pruned or drift:
        decided = {decision.index for decision in plan.decisions}
        others = range(len(targets)) if show_pruned else drift
        documents += [_entry(plan, i, "pruned", []) for i in others if i not in decided]
    if drift:
        facts = {targets.all[index].id: tuple(item.facts) for index, item in drift.items()}
        documents = [
            each.model_copy(update={"drift": facts.get(each.target, ())}) for each in documents
        ]
    return PlanDocument(
        plan_id=plan_id(plan, pipeline, parameters, engine),
        pipeline=pipeline,
        parameters=dict(parameters),
        prefix=relative(workspace.prefix, workspace),
        engine=engine,
        code=workspace.code,
        requested=tuple(targets.all[i].id for i in plan.requested),
        summary=plan.summary(),
        decisions=tuple(documents),
    )


def _decision(plan: Plan, decision: Decision, *, pin_code: bool) -> DecisionDocument:
    reason = decision.reason
    facts = [{"kind": reason_kind(reason), **stable_facts(reason)}]
    entry = _entry(plan, decision.index, decision.kind.value, facts)
    fn = plan.targets.all[decision.index].step.fn
    if pin_code and decision.kind in (Kind.RUN, Kind.WAIT) and fn is not None:
        return entry.model_copy(update={"code_digest": code_digest(fn)})
    return entry


def _entry(plan: Plan, index: int, kind: str, facts: list[dict[str, Any]]) -> DecisionDocument:
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
        declared=f"{relative(step.declared[0], workspace)}:{step.declared[1]}",
    )
