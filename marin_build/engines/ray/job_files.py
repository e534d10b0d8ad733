"""Files of jobs for Ray: one for each step to build, and a script that submits all of them. Pure.

A file is the body of the request that submits the job. Facts: `JobSubmitRequest` of Ray 2.60
(`ray/dashboard/modules/job/common.py`); the command is run by `sh -c`.
"""

from __future__ import annotations

import json
import math
import shlex
from typing import TYPE_CHECKING, Any

from marin_build.emit.plan_directory import (
    actions_of,
    environment_script,
    run_step_words,
    waves_of,
)
from marin_build.engines.jobs import job_name
from marin_build.pipeline.resources import GpuDevice, TpuDevice
from marin_build.plan.capacity import RAM, parse_amount
from marin_build.untrusted_json import parse_json

if TYPE_CHECKING:
    from collections.abc import Mapping

    from marin_build.emit.plan_directory import Action
    from marin_build.emit.templates import Templates
    from marin_build.engines.ray.settings import RaySettings
    from marin_build.pipeline.step_spec import StepSpec
    from marin_build.plan.decisions import Plan
    from marin_build.plan.document import PlanDocument

JOB_VARIABLE = "MARIN_BUILD_JOB"
"""How `run-step` learns which job it is: by its name in a file, by its id in what is submitted."""
NEEDS = "marin-build-needs"
"""The key of a job's metadata that repeats what it asks for: Ray does not list it."""
_STOP_WAIT = 30
"""Seconds between SIGTERM and SIGKILL, by default 3: `run-step` gives a step 10 of them to end, and
then writes how it did."""
_WITH_FIELDS = {"CPU", "GPU", "memory"}
"""Resources that have a field of their own in a submit."""
_ANY_OF_TYPE = 0.001
"""How much of a type of accelerator Ray's own `accelerator_type` asks for: a node has 1."""


def emit_ray(
    plan: Plan, document: PlanDocument, templates: Templates, settings: RaySettings
) -> dict[str, str]:
    """Return path -> text: `job.json` for each step to build, and `submit.sh`."""
    actions = actions_of(plan)
    prefix = plan.targets.workspace.prefix
    names = {action.target: job_name(prefix, action.target) for action in actions}
    files = {
        "submit.sh": templates.render(
            "ray/submit.sh.j2",
            plan_id=document.plan_id,
            waves=[[(names[it.target], it.target) for it in wave] for wave in waves_of(actions)],
            jobs=len(actions),
            reason=f"rebuilt by plan {document.plan_id}",
            sends_code=document.bundle is not None,
            forced=[plan.targets.all[i].id for i in sorted(plan.rebuilt_anyway)],
            address=settings.address or "",
            reads_token=settings.token is None,
            headers=settings.secret_headers,
        ),
        "environment.sh": environment_script(plan, document, templates),
    }
    for action in actions:
        needs = needs_of(action.step, settings)
        files[file_of(action.target)] = templates.render(
            "ray/job.json.j2",
            action=action,
            name=names[action.target],
            entrypoint=_entrypoint(action, plan, document, settings),
            request=_request(needs),
            runtime_env=_runtime_env(settings, names[action.target]),
            metadata={"step": action.name, "target": action.target, NEEDS: json_text(needs)},
        )
    return files


def file_of(target: str) -> str:
    """Return the path of a target's file in a plan directory."""
    return f"steps/{target}/job.json"


def json_text(value: object) -> str:
    """Return a value as JSON on one line, in a fixed order."""

    def refuse(part: object) -> object:
        raise TypeError(f"cannot write {part} as JSON")

    return json.dumps(value, sort_keys=True, allow_nan=False, default=refuse)


def needs_of(step: StepSpec, settings: RaySettings) -> dict[str, float]:
    """Return the amounts of Ray's resources that a job of a step asks for, by name."""
    resources = step.resources
    cpu = resources.cpu if resources is not None else None
    found: dict[str, float] = {"CPU": cpu or 1, **settings.resources}
    if resources is not None and resources.ram is not None:
        found["memory"] = math.ceil(parse_amount(RAM, resources.ram))
    match resources.device if resources is not None else None:
        case GpuDevice(type=kind, count=count):
            found["GPU"] = count
            if settings.gpu_types:
                found[f"accelerator_type:{kind.upper()}"] = _ANY_OF_TYPE
        case TpuDevice(type=kind, chips_per_host=chips):
            found["TPU"] = chips
            if settings.tpu_head:
                found[settings.tpu_head.replace("{slice}", kind)] = 1
    return found


def needs_in(metadata: object) -> dict[str, float]:
    """Return what a job asks for, from its metadata; nothing if they do not say it."""
    try:
        found = parse_json(metadata[NEEDS])  # type: ignore[index] # that is a TypeError, too
        return {str(name): float(amount) for name, amount in found.items()}
    except (LookupError, TypeError, ValueError, AttributeError):
        return {}


def _request(needs: Mapping[str, float]) -> dict[str, object]:
    """Return the fields of a submit that ask for these amounts."""
    fields = {
        "entrypoint_num_cpus": needs["CPU"],
        "entrypoint_num_gpus": needs.get("GPU"),
        "entrypoint_memory": needs.get("memory"),
        "entrypoint_resources": {
            name: amount for name, amount in needs.items() if name not in _WITH_FIELDS
        },
    }
    return {key: value for key, value in fields.items() if value}


def _entrypoint(action: Action, plan: Plan, document: PlanDocument, settings: RaySettings) -> str:
    """Return the command of a job, for `sh -c`."""
    _, *rest = run_step_words(action, plan, document)
    parts = []
    if document.bundle is None:
        parts.append(["cd", "--", plan.targets.workspace.project])
    parts.append(["exec", settings.program, *rest])
    return " && ".join(shlex.join(part) for part in parts)


def _runtime_env(settings: RaySettings, name: str) -> Mapping[str, Any]:
    given = settings.runtime_env
    variables = {"RAY_JOB_STOP_WAIT_TIME_S": str(_STOP_WAIT), **given.get("env_vars", {})}
    return {**given, "env_vars": {**variables, JOB_VARIABLE: f"ray:{name}"}}
