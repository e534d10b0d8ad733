"""Loads the pipeline of a saved plan, and refuses one that is no longer what was planned."""

from __future__ import annotations

import json
import os
from collections import Counter
from typing import TYPE_CHECKING

from marin_build.errors import StoppedError
from marin_build.operations.loading.config import load_settings
from marin_build.operations.loading.loading import load
from marin_build.operations.loading.options import PipelineOptions
from marin_build.operations.saved_plans.plan_directory import read_plan_directory
from marin_build.operations.saved_plans.project_of_plan import find_project_of_plan
from marin_build.pipeline.locate import locate
from marin_build.plan.difference_text import describe_difference
from marin_build.plan.payload_diff import differences, without_echoes
from marin_build.plan.pinned_settings import pinned_settings
from marin_build.workspace.workspace import absolute_prefix, find_project, relative

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from marin_build.operations.loading.loading import Loaded
    from marin_build.plan.document import DecisionDocument, PlanDocument


_SHOWN = 10


def load_saved(
    folder: str,
    options: PipelineOptions,
    target: str | None = None,
    *,
    signers: str | None = None,
) -> tuple[Loaded, PlanDocument]:
    """Load the pipeline of a saved plan, with its parameters and prefix.

    Args:
        folder: the plan's directory.
        options: the profile; all else of the pipeline is fixed by the plan.
        target: the only target of the plan that is wanted: remote inputs of others are not read.
        signers: the file of allowed signers; None: as configured.

    Raises:
        StoppedError: the plan was edited, its signature is missing or wrong, or the pipeline no
            longer has its targets, or runs them otherwise.

    """

    def project_of(plan: PlanDocument) -> str:
        return find_project_of_plan(folder, plan, os.environ, os.getcwd())

    def signers_of(plan: PlanDocument) -> Iterator[str]:
        if signers is not None:
            yield signers
        else:
            yield from _configured_signers(project_of(plan), options.profile)

    document = read_plan_directory(folder, signers_of)
    project = project_of(document)
    loaded = load(
        PipelineOptions(
            file=_in_project(document.pipeline, project),
            folder=project,
            prefix=absolute_prefix(document.prefix, project),
            profile=options.profile,
            on_progress=options.on_progress,
            engine=document.engine,
            parameters=document.parameters,
            params=None,
            code=document.code or "report",
        ),
        needed=[target] if target is not None else [d.target for d in document.decisions],
    )
    planned = document.decisions if target is None else _needed_for(document, target)
    _check_fingerprints(loaded, planned, folder)
    _check_settings(loaded, planned, folder)
    return loaded, document


def _configured_signers(project: str, profile: str | None) -> Iterator[str]:
    """Yield the allowed signers that the plan's project names, and the one the user stands in.

    Both count: a plan with a project of its own around it must not decide who may sign it.
    """
    for place in dict.fromkeys((project, find_project(os.getcwd()))):
        signers = load_settings(place, profile if place == project else None).allowed_signers
        if signers is not None:
            yield os.path.join(place, os.path.expanduser(signers))


def _in_project(pipeline: str, project: str) -> str:
    """Return how `-f` names a plan's pipeline in any folder; a module has one name everywhere."""
    is_module = locate(pipeline, [project], project).is_named
    return pipeline if is_module else os.path.join(project, pipeline)


def _check_fingerprints(loaded: Loaded, planned: Sequence[DecisionDocument], folder: str) -> None:
    """Refuse targets of the plan that are no longer declared."""
    by_id, all_ = loaded.targets.by_id, loaded.targets.all
    gone = [
        d
        for d in planned
        if d.target not in by_id or all_[by_id[d.target]].fingerprint != d.fingerprint
    ]
    if gone:
        changed = list(_changes(loaded, gone))
        raise StoppedError(
            f"the pipeline no longer declares what the plan in `{folder}` was made for",
            facts=[
                ("missing", "\n".join(d.target for d in gone[:_SHOWN])),
                *_not_known(loaded),
                *([("changed", "\n".join(changed[:_SHOWN]))] if changed else []),
            ],
            consequence="nothing was run",
            hint="make the plan again",
        )


def _not_known(loaded: Loaded) -> list[tuple[str, str]]:
    """Return a fact about the expansions that give no steps now."""
    if not loaded.targets.later:
        return []
    from marin_build.plan.later_selection import what_waits

    waits = what_waits(loaded.targets)
    return [("not known now", waits)] if waits else []


def _check_settings(loaded: Loaded, planned: Sequence[DecisionDocument], folder: str) -> None:
    """Refuse steps to run that the pipeline would run otherwise than the plan says."""
    changed = []
    for decision in planned:
        if decision.settings is None:
            continue
        target = loaded.targets.all[loaded.targets.by_id[decision.target]]
        output = relative(target.output_path, loaded.workspace)
        old = {**decision.settings, "output_path": decision.output_path}
        new = {**pinned_settings(target.step), "output_path": output}
        changed += [f"`{decision.name}`: {describe_difference(d)}" for d in differences(old, new)]
    if changed:
        raise StoppedError(
            f"steps would not run as the plan in `{folder}` says",
            facts=[("changed", "\n".join(changed[:_SHOWN]))],
            consequence="nothing was run",
            hint="make the plan again",
        )


def _needed_for(document: PlanDocument, wanted: str) -> list[DecisionDocument]:
    """Return the decisions on a target and on what it needs."""
    needed, found = {wanted}, []
    for decision in reversed(document.decisions):  # topological: dependents first
        if decision.target in needed:
            needed.update(decision.deps)
            found.append(decision)
    return found[::-1]


def _changes(loaded: Loaded, gone: Sequence[DecisionDocument]) -> Iterator[str]:
    """Yield how a plan's targets differ from the only target of their name now, but for deps."""
    names = Counter(target.name for target in loaded.targets.all)
    namesakes = {t.name: t for t in loaded.targets.all if names[t.name] == 1}
    planned = Counter(decision.name for decision in gone)
    for decision in gone:
        target = namesakes.get(decision.name)
        if target is None or planned[decision.name] > 1:
            continue
        found = differences(json.loads(decision.payload), json.loads(target.step.payload))
        for difference in without_echoes(found):
            if not difference.path.startswith("deps"):
                yield f"`{decision.name}`: {describe_difference(difference)}"
