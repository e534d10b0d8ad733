"""Files that replay a plan on this machine: a script for each target, and three ways to run all."""

from __future__ import annotations

from typing import TYPE_CHECKING

from marin_build.emit.plan_directory import actions_of, environment_script
from marin_build.engines.local.build_files import emit_build_files

if TYPE_CHECKING:
    from marin_build.emit.templates import Templates
    from marin_build.plan.decisions import Plan
    from marin_build.plan.document import PlanDocument


def emit_local(plan: Plan, document: PlanDocument, templates: Templates) -> dict[str, str]:
    """Return path -> text of the files."""
    actions = actions_of(plan)
    reused = document.summary["reuse"] + document.summary["pruned"]
    sealed = [plan.targets.all[index].id for index in plan.sealed]
    files = {
        "environment.sh": environment_script(plan, document, templates),
        "run.sh": templates.render(
            "local/run.sh.j2",
            plan_id=document.plan_id,
            actions=actions,
            sealed=sealed,
            reused=reused,
        ),
        **emit_build_files(actions, sealed, reused, document, templates),
    }
    for action in actions:
        files[f"{action.folder}/run.sh"] = templates.render(
            "local/step.sh.j2", action=action, up="../" * (2 + action.target.count("/"))
        )
    return files
