"""All files of a plan directory."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from marin_build.emit.document import PAGE_FILE, PLAN_FILE, plan_document
from marin_build.emit.plan_id import check_engine
from marin_build.emit.templates import Templates

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping

    from marin_build.emit.document import PlanDocument
    from marin_build.plan import Plan

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
        pipeline: the pipeline file, relative to the project.
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
        from marin_build.emit.kubernetes import emit_kubernetes

        files = emit_kubernetes(plan, document, templates, settings)
    else:
        from marin_build.emit.local import emit_local

        files = emit_local(plan, document, templates)
    page = draw(document, files.keys(), templates) if draw is not None else None
    if page is not None:
        files[PAGE_FILE] = page
    return {**files, PLAN_FILE: document.sealed_text(files)}
