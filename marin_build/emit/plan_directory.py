"""All files of a plan directory, and the command line of each action."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING

from marin_build.emit.quoting import plain_words
from marin_build.pipeline.command import Command, Word
from marin_build.pipeline.locate import files_that_may_hold
from marin_build.plan.decisions import Kind
from marin_build.plan.document import PAGE_FILE, PLAN_FILE
from marin_build.plan.document_of_plan import plan_document
from marin_build.plan.graph_shape import waves
from marin_build.plan.reason_text import describe_decision, describe_stably
from marin_build.text.readable import printable
from marin_build.text.secret_shapes import without_secret
from marin_build.workspace.workspace import relative

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence

    from marin_build.emit.templates import Templates
    from marin_build.pipeline.step_spec import StepSpec
    from marin_build.plan.decisions import Decision, Plan
    from marin_build.plan.document import PlanDocument

    DrawPage = Callable[[PlanDocument, Collection[str], Templates], str | None]
    Emit = Callable[[Plan, PlanDocument, Templates], dict[str, str]]


_SCRIPTS_OF_ALL = ("run.sh", "submit.sh")
"""The scripts that engines write for a whole plan."""


@dataclass(frozen=True, slots=True)
class Action:
    """One target to build, as templates see it.

    Args:
        step: the step.
        name, target: the step's name and the target's id.
        why: the reason for building it, in words.
        needs: ids of the dependencies.
        inputs: logical names of the external inputs.
        output: the output path, relative to the project if it lies inside.
        declared: file and line of the declaration.
        description: the author's description; empty if there is none.
        command: the words of a command step; empty for a function step.

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
        why=describe_decision(decision, describe_stably),
        needs=tuple(targets.all[dep].id for dep in targets.deps[decision.index]),
        inputs=tuple(source.name for source in step.inputs.values()),
        output=relative(target.output_path, workspace),
        declared=f"{relative(step.declared[0], workspace)}:{step.declared[1]}",
        description=step.description,
        command=step.fn.words(target.output_path) if isinstance(step.fn, Command) else (),
    )


def actions_of(plan: Plan) -> list[Action]:
    """Return an action for each target to build, also for those that another run builds now."""
    return [action_of(plan, decision) for decision in plan.of_kind(Kind.RUN, Kind.WAIT)]


def steps_to_build(plan: Plan) -> list[StepSpec]:
    """Return the step of each of these actions."""
    decisions = plan.of_kind(Kind.RUN, Kind.WAIT)
    return [plan.targets.all[decision.index].step for decision in decisions]


def waves_of(actions: Sequence[Action]) -> list[list[Action]]:
    """Return actions in groups: those of one need only those of groups before it."""
    by_target = {action.target: action for action in actions}
    groups = waves({action.target: action.needs for action in actions})  # in topological order
    return [[by_target[target] for target in group] for group in groups]


def environment_script(plan: Plan, document: PlanDocument, templates: Templates) -> str:
    """Return the script that finds the project and the prefix, for all others of a directory."""
    workspace = plan.targets.workspace
    prefix = document.prefix
    return templates.render(
        "environment.sh.j2",
        plan_id=document.plan_id,
        places=files_that_may_hold(document.pipeline),
        prefix=prefix,
        prefix_in_project=prefix != workspace.prefix,
    )


def run_step_words(
    action: Action,
    plan: Plan,
    document: PlanDocument,
    *,
    once: bool = False,
    in_project: bool = True,
) -> tuple[str, ...]:
    """Return the command line that builds an action's target.

    It is for the project's folder, unless the code comes from a bundle or lies in an image: then
    the prefix in it is absolute.

    Args:
        action: an action of the plan.
        plan: the plan.
        document: its plan.json.
        once: whether it tries once only, because the engine repeats tries.
        in_project: whether it runs in the project's folder.

    """
    workspace = plan.targets.workspace
    in_project = in_project and document.bundle is None
    settings = [
        part
        for key, value in sorted(document.parameters.items())
        for part in ("--set", f"{key}={value}")
    ]
    policy = ("--code-policy", document.code) if document.code is not None else ()
    bundle = ("--bundle", document.bundle) if document.bundle is not None else ()
    words = plain_words(action.command, workspace, with_prefix=in_project)
    listing = plan.overwrites.get(plan.targets.by_id[action.target])
    return (
        "marin-build",
        "run-step",
        *bundle,
        "--file",
        document.pipeline,
        *settings,
        *policy,
        "--prefix",
        relative(workspace.prefix, workspace) if in_project else workspace.prefix,
        "--target",
        action.target,
        *(["--once"] if once else []),
        *(["--overwrite", listing] if listing is not None else []),
        *(["--", *words] if words else []),
    )


@dataclass(frozen=True, slots=True)
class LaterSteps:
    """An expansion whose steps are not in a plan, as templates see it.

    Args:
        name: the expansion's.
        declared: file and line of its declaration.
        says: what a script says of it.

    """

    name: str
    declared: str
    says: str


def later_script(document: PlanDocument, templates: Templates) -> str:
    """Return the end of a script that replays a whole plan: what the plan does not contain."""
    return templates.render(
        "later_steps.sh.j2", expansions=_later(document), command=_command_of(document)
    )


def later_lines(document: PlanDocument) -> list[str]:
    """Return what such a script says at its end, for files that are no scripts."""
    if not document.expansions:
        return []
    again = f"to go on, plan again: {_command_of(document)}"
    return [*(each.says for each in _later(document)), again]


def _later(document: PlanDocument) -> list[LaterSteps]:
    return [
        LaterSteps(
            each.name,
            each.declared,
            f"not in this plan: the steps of {each.name}, known once "
            f"{', '.join(each.waits_for)} {'is' if len(each.waits_for) == 1 else 'are'} built",
        )
        for each in document.expansions
    ]


def _command_of(document: PlanDocument) -> str:
    """Return the command line that makes a plan again, on one line."""
    words = [
        *("marin-build", "plan", "-f", document.pipeline, "--prefix", document.prefix),
        *(("--engine", document.engine) if document.engine != "local" else ()),
        *(("--code-policy", document.code) if document.code is not None else ()),
        *(
            part
            for key, value in sorted(document.parameters.items())
            for part in ("--set", f"{key}={without_secret(key, value)}")
        ),
    ]
    return printable(shlex.join(words))


def emit_plan(
    plan: Plan,
    *,
    pipeline: str,
    pipeline_digest: str,
    parameters: Mapping[str, str],
    engine: str,
    emit: Emit,
    templates: Templates,
    draw: DrawPage | None = None,
    bundle: str | None = None,
    others: Mapping[str, str] = MappingProxyType({}),
) -> dict[str, str]:
    """Return path -> text for every file of the plan directory, plan.json last.

    Args:
        plan: the plan.
        pipeline: the pipeline, as `-f` names it, relative to the project.
        pipeline_digest: sha-256 of its file.
        parameters: its `--set` values.
        engine: the name of the engine.
        emit: makes the files of the engine.
        templates: the templates of all files.
        draw: makes the HTML page from the plan's document and the paths of its files, or returns
            None; None: there is no page.
        bundle: the name of the bundle of code that its jobs load, `sha256:...`.
        others: further files, path -> text.

    """
    document = plan_document(
        plan,
        pipeline=pipeline,
        pipeline_digest=pipeline_digest,
        parameters=parameters,
        engine=engine,
        pin_code=True,
    )
    if bundle is not None:  # its jobs have the prefix as an absolute path, and so must a replay
        place = plan.targets.workspace.prefix
        document = document.model_copy(update={"bundle": bundle, "prefix": place})
    files = {**emit(plan, document, templates), **others}
    for script in _SCRIPTS_OF_ALL if document.expansions else ():
        if script in files:
            files[script] += later_script(document, templates)
    page = draw(document, files.keys(), templates) if draw is not None else None
    if page is not None:
        files[PAGE_FILE] = page
    return {**files, PLAN_FILE: document.sealed_text(files)}
