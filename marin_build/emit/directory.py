"""All files of a plan directory."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from marin_build.emit.document import PLAN_FILE, plan_document
from marin_build.emit.plan_id import check_engine
from marin_build.emit.templates import Templates

if TYPE_CHECKING:
    from collections.abc import Mapping

    from marin_build.plan import Plan


def emit_plan(
    plan: Plan,
    *,
    pipeline: str,
    parameters: Mapping[str, str],
    engine: str,
    settings: Mapping[str, Any],
    overrides: str | None,
) -> dict[str, str]:
    """Return path -> text for every file of the plan directory, plan.json last.

    Args:
        plan: the plan.
        pipeline: the pipeline file, relative to the project.
        parameters: its `--set` values.
        engine: `local` or `kubernetes`.
        settings: the engine's settings from the configuration.
        overrides: a folder whose templates win, relative to the project.

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
    return {**files, PLAN_FILE: document.sealed_text(files)}
