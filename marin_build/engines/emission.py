"""All files of a plan directory for an engine, after the engine has checked the plan."""

from __future__ import annotations

import copy
import functools
from dataclasses import replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from marin_build.emit.plan_directory import emit_plan
from marin_build.emit.templates import Templates
from marin_build.engines.registry import engine_words
from marin_build.errors import MarinBuildError, UsageError, combined
from marin_build.workspace.places import is_url
from marin_build.workspace.workspace import relative

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from marin_build.engines.base import Engine
    from marin_build.plan.decisions import Plan


def emit_for(
    engine: Engine[Any],
    plan: Plan,
    *,
    pipeline: str,
    parameters: Mapping[str, str],
    overrides: str | None,
    with_page: bool = False,
    pipeline_digest: str = "",
    bundle: str | None = None,
    secrets: Sequence[str] = (),
    others: Mapping[str, str] = MappingProxyType({}),
) -> dict[str, str]:
    """Return path -> text for every file of the plan directory, plan.json last.

    Args:
        engine: the engine that runs the plan.
        plan: the plan.
        pipeline: the pipeline file, relative to the project.
        parameters: its `--set` values.
        overrides: the user's folder of templates, relative to the project; None if there is none.
        with_page: whether to add the HTML page of the plan.
        pipeline_digest: sha-256 of the pipeline's file; empty: the files are not replayed.
        bundle: the name of the bundle of code that its jobs load, if they load one.
        secrets: patterns of the variables that hold secrets, from the configuration.
        others: further files, path -> text.

    Raises:
        MarinBuildError: all errors of `problems_of` together; or a template is malformed.

    """
    if problems := problems_of(engine, plan):
        raise combined(problems)
    told = _with_secrets(plan, secrets)
    draw = None
    if with_page:
        from marin_build.emit.graph.saved_plan_page import page_of_plan

        draw = functools.partial(
            page_of_plan,
            engine_words=engine_words(engine.name),
            is_replayable=engine.capabilities.applies,
        )
    return emit_plan(
        plan,
        pipeline=pipeline,
        pipeline_digest=pipeline_digest,
        parameters=parameters,
        engine=engine.name,
        emit=lambda _, document, templates: engine.emit(told, document, templates),
        templates=Templates(
            plan.targets.workspace,
            overrides,
            folders=engine.template_folders,
            filters=engine.filters,
        ),
        draw=draw,
        bundle=bundle,
        others=others,
    )


def _with_secrets(plan: Plan, declared: Sequence[str]) -> Plan:
    """Return a plan whose steps know the patterns of the configuration, too, as their own secrets.

    So an engine need not know the configuration to leave them out of what it writes.
    """
    targets = plan.targets
    if not declared or not any(target.step.env_vars for target in targets.all):
        return plan
    told = []
    for target in targets.all:
        step = copy.copy(target.step)  # `replace` would look at its attributes again
        object.__setattr__(step, "secrets", (*step.secrets, *declared))
        told.append(replace(target, step=step))
    return replace(plan, targets=replace(targets, all=tuple(told)))


def problems_of(engine: Engine[Any], plan: Plan) -> list[MarinBuildError]:
    """Return an error for each thing in a plan that an engine cannot build."""
    problems: list[MarinBuildError] = []
    workspace = plan.targets.workspace
    if not engine.capabilities.sees_local_prefix and not is_url(workspace.prefix):
        prefix = relative(workspace.prefix, workspace)
        problems.append(
            UsageError(
                f"{engine.capabilities.workers} cannot see the prefix `{prefix}`",
                hint="give a bucket: --prefix gs://bucket/path",
            )
        )
    return [*problems, *engine.check(plan)]
