"""The graph of a pipeline, or of a saved plan, drawn: what `marin-build graph` writes."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import TYPE_CHECKING

from marin_build.emit.graph.drawing import View, draw
from marin_build.emit.graph.live import Live, LiveTarget
from marin_build.emit.graph.saved_plan_page import commands_of, replay_command, scripts_of
from marin_build.emit.templates import Templates
from marin_build.engines.registry import engine_words
from marin_build.operations.loading.known_secrets import secrets_of
from marin_build.operations.loading.options import command_line
from marin_build.operations.planning.plan import make_planned
from marin_build.operations.planning.planned import PlanRequest
from marin_build.operations.saved_plans.plan_directory import read_plan_directory
from marin_build.plan.document_of_plan import plan_document
from marin_build.plan.reason_text import NOT_READ, describe_decision
from marin_build.redaction import Redactor
from marin_build.text.readable import duration_text, printable
from marin_build.workspace.workspace import Workspace

if TYPE_CHECKING:
    from collections.abc import Sequence

    from marin_build.emit.graph.details import Commands
    from marin_build.emit.graph.drawing import Drawing
    from marin_build.operations.loading.loading import Loaded
    from marin_build.operations.loading.options import PipelineOptions
    from marin_build.operations.planning.planned import Planned
    from marin_build.plan.decisions import Plan
    from marin_build.plan.document import PlanDocument
    from marin_build.plan.estimate import PlanEstimate


_WHOLE = View()


def draw_pipeline(
    loaded: Loaded,
    selectors: Sequence[str] = (),
    view: View = _WHOLE,
    *,
    options: PipelineOptions | None = None,
) -> Drawing:
    """Plan as `plan` does, and draw the plan with what is known of each target now.

    Args:
        loaded: the pipeline and its store.
        selectors: which targets, with what they need; empty: what the pipeline requests.
        view: what of it is drawn, and how.
        options: name the pipeline in a page's command lines; None: a page without these.

    Raises:
        UsageError: no such engine or target, or the format cannot draw so much.
        SpecificationError: a template is missing or malformed.
        StoreError: the store cannot be read.

    """
    return draw_planned(make_planned(loaded, PlanRequest(tuple(selectors))), view, options=options)


def draw_planned(
    planned: Planned, view: View = _WHOLE, *, options: PipelineOptions | None = None
) -> Drawing:
    """Draw a plan that was made with its history, with what is known of each target now.

    Args:
        planned: the plan.
        view: what of it is drawn, and how.
        options: name the pipeline in a page's command lines; None: a page without these.

    Raises:
        UsageError: the format cannot draw so much.
        SpecificationError: a template is missing or malformed.
        StoreError: the store cannot be read.

    """
    loaded = planned.loaded
    templates = Templates(loaded.workspace, loaded.settings.templates)
    if view.form != "html":
        targets = _targets(planned.decided)
        for index in planned.kinds_of_drift:
            target = planned.decided.targets.all[index].id
            targets[target] = replace(targets[target], drift="drifted")
        live = Live(project=loaded.workspace.project, targets=targets)
        return draw(_document(planned, planned.decided), view, templates, live=live)
    document, live = looked_at(planned)
    commands = commands_for_targets(options) if options is not None else ()
    return draw(
        document, view, templates, live=live, commands=commands, redactor=secrets_of(loaded)
    )


def draw_saved_plan(folder: str, view: View = _WHOLE, *, start: str | None = None) -> Drawing:
    """Draw a saved plan, without reading its pipeline or its store.

    Args:
        folder: the plan's directory.
        view: what of it is drawn, and how.
        start: the folder from which a page leads to the plan's scripts; None: the current one.

    Raises:
        UsageError: no plan is there, or the format cannot draw so much.
        StoppedError: the plan was edited.

    """
    document = read_plan_directory(folder)
    way = os.path.relpath(folder, start).replace(os.sep, "/")
    # Our own templates: the project of the plan may be elsewhere.
    return draw(
        document,
        view,
        Templates(Workspace(os.path.abspath(folder), document.prefix)),
        commands=(
            replay_command("replay the plan", folder),
            *commands_of(document, engine_words(document.engine)),
        ),
        scripts=scripts_of(document, document.files, f"./{way}/"),
        redactor=Redactor.of(os.environ),
    )


def _document(planned: Planned, plan: Plan) -> PlanDocument:
    """Return the document of a plan, pruned targets included."""
    return plan_document(
        plan,
        pipeline=planned.loaded.file,
        parameters=planned.loaded.pipeline.parameters,
        engine=planned.engine.name,
        pin_code=False,
        show_pruned=True,
    )


def looked_at(planned: Planned) -> tuple[PlanDocument, Live]:
    """Return the document of a plan, and all that a page shows beside it.

    Accepted drift is a reason in the document, as `plan` shows it.

    Raises:
        StoreError: the store cannot be read.

    """
    from marin_build.observe.read_logs import ends_of_logs
    from marin_build.plan.plan_summary import count_verbs, summary_line

    loaded, plan, drift, estimate = planned.loaded, planned.plan, planned.drift, planned.estimate
    document, targets = _document(planned, plan), _targets(plan)
    logs = ends_of_logs(loaded.store, plan)
    for index in {**drift, **estimate.steps, **plan.snapshot.seen, **logs}:
        target, one = plan.targets.all[index].id, estimate.steps.get(index)
        built = plan.snapshot.of(index).built
        log_of, log = logs.get(index, ("", ()))
        targets[target] = replace(
            targets[target],
            drift=printable(drift[index].text) if index in drift else "",
            seconds=one.seconds if one is not None else None,
            builds=one.count if one is not None else 0,
            cost=one.cost if one is not None else None,
            took=built.seconds or None if built is not None else None,
            log=log,
            log_of=log_of,
        )
    live = Live(
        project=loaded.workspace.project,
        targets=targets,
        summary=summary_line(
            document.plan_id,
            plan.summary(),
            count_verbs(plan, drift),
            estimate,
            len(plan.waiting),
        ),
        path=tuple(plan.targets.all[index].id for index in estimate.critical_path),
        path_text=_how_long(estimate),
    )
    return document, live


def _targets(plan: Plan) -> dict[str, LiveTarget]:
    """Return each target of a plan with its reason, as `plan` says it."""
    known = {each.index: describe_decision(each) for each in plan.decisions}
    known |= dict.fromkeys(plan.pruned_indices, NOT_READ)
    return {
        (target := plan.targets.all[index]).id: LiveTarget(
            reason=reason,
            tags=tuple(target.step.tags),
            description=target.step.description,
        )
        for index, reason in known.items()
    }


def _how_long(estimate: PlanEstimate) -> str:
    """Return how long the slowest chain takes, in words."""
    words = "about" if estimate.is_complete else "at least"
    return f"{words} {duration_text(estimate.critical_seconds)}"


def commands_for_targets(options: PipelineOptions) -> Commands:
    """Return a page's command lines: a label, and the parts that a target's id joins."""

    def line(command: str, *flags: str) -> str:
        return command_line(command, options, flags) + " "

    return (
        ("build it", (line("apply"), "")),
        ("build it again", (line("apply", "--force"), " ", "")),
        ("run it alone, in the foreground", (line("run"), "")),
        ("why, in full", (line("explain"), "")),
        ("its log", (line("logs").replace("logs -f ", "logs --file ", 1), "")),
    )
