"""All files of a plan directory, and what the action of each target runs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from marin_build.emit.templates import Templates
from marin_build.engines import check_engine
from marin_build.pipeline.command import Command, Word
from marin_build.plan.document import PAGE_FILE, PLAN_FILE, plan_document
from marin_build.plan.reason_text import describe_stably
from marin_build.workspace import relative

if TYPE_CHECKING:
    from marin_build.pipeline.step_spec import StepSpec
    from marin_build.plan.decisions import Decision, Plan


@dataclass(frozen=True, slots=True)
class Action:
    """One target to build, as templates see it.

    Args:
        step: the declaration.
        name, target: the step's name and the target's id.
        why: the reason, in words.
        needs: ids of the dependencies.
        inputs: logical names of the external inputs.
        output: the output path, relative to the project where it lies inside.
        declared: file and line.
        description: the author's.
        command: the words of a command step; none for a function.

    """

    step: StepSpec
    name: str
    target: str
    why: str
    needs: tuple[str, ...]
    inputs: tuple[str, ...]
    output: str
    declared: str
    description: str
    command: tuple[Word, ...]

    @property
    def folder(self) -> str:
        """Its folder inside the plan directory."""
        return f"steps/{self.target}"


def action_of(plan: Plan, decision: Decision) -> Action:
    """Return the action of a decision."""
    targets, workspace = plan.targets, plan.targets.workspace
    target = targets.all[decision.index]
    step = target.step
    return Action(
        step=step,
        name=target.name,
        target=target.id,
        why=describe_stably(decision.reason),
        needs=tuple(targets.all[dep].id for dep in targets.deps[decision.index]),
        inputs=tuple(source.name for source in step.inputs.values()),
        output=relative(target.output_path, workspace),
        declared=f"{relative(step.declared[0], workspace)}:{step.declared[1]}",
        description=step.description,
        command=step.fn.words(target.output_path) if isinstance(step.fn, Command) else (),
    )


if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping

    from marin_build.plan.decisions import Plan
    from marin_build.plan.document import PlanDocument

    DrawPage = Callable[[PlanDocument, Collection[str], Templates], str | None]


def emit_plan(
    plan: Plan,
    *,
    pipeline: str,
    parameters: Mapping[str, str],
    engine: str,
    settings: Mapping[str, Any],
    overrides: str | None,
    draw: DrawPage | None = None,
) -> dict[str, str]:
    """Return path -> text for every file of the plan directory, plan.json last.

    Args:
        plan: the plan.
        pipeline: the pipeline, as `-f` names it in the project.
        parameters: its `--set` values.
        engine: `local` or `kubernetes`.
        settings: the engine's settings from the configuration.
        overrides: a folder whose templates win, relative to the project.
        draw: makes the page of the plan from its document and the paths of its files, or no page.

    """
    check_engine(engine)
    templates = Templates(plan.targets.workspace, overrides)
    document = plan_document(
        plan, pipeline=pipeline, parameters=parameters, engine=engine, pin_code=True
    )
    if engine == "kubernetes":
        from marin_build.engines.kubernetes.manifests import emit_kubernetes

        files = emit_kubernetes(plan, document, templates, settings)
    else:
        from marin_build.engines.local import emit_local

        files = emit_local(plan, document, templates)
    page = draw(document, files.keys(), templates) if draw is not None else None
    if page is not None:
        files[PAGE_FILE] = page
    return {**files, PLAN_FILE: document.sealed_text(files)}
