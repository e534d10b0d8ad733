"""Batch scripts for Slurm: one for each step to build, and one that submits all of them. Pure.

Facts: sbatch(1) of Slurm 22.05 to 26.05.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from marin_build.emit.plan_directory import actions_of, environment_script, run_step_words
from marin_build.engines.jobs import job_name
from marin_build.engines.slurm.settings import is_sbatch_word
from marin_build.errors import SpecificationError
from marin_build.pipeline.resources import CpuDevice, GpuDevice, TpuDevice
from marin_build.plan.capacity import RAM, hosts_of, parse_amount
from marin_build.plan.plan_id import text_digest
from marin_build.workspace.places import is_url
from marin_build.workspace.workspace import relative

if TYPE_CHECKING:
    from marin_build.emit.plan_directory import Action
    from marin_build.emit.templates import Templates
    from marin_build.engines.slurm.settings import SlurmSettings
    from marin_build.pipeline.resources import ResourceConfig
    from marin_build.pipeline.step_spec import StepSpec
    from marin_build.plan.decisions import Plan
    from marin_build.plan.document import PlanDocument
    from marin_build.workspace.workspace import Workspace

_LOGS = ".marin-build/slurm"
_LOGS_OF_NODE = "/tmp"  # noqa: S108 - all that a node surely has
_MARGIN = 300
"""Seconds that a job may take beside its step's time-out: to start, and to commit."""


def emit_slurm(
    plan: Plan, document: PlanDocument, templates: Templates, settings: SlurmSettings
) -> dict[str, str]:
    """Return path -> text: `job.sbatch` for each step to build, and `submit.sh`."""
    actions = actions_of(plan)
    files = {
        "submit.sh": templates.render(
            "slurm/submit.sh.j2",
            plan_id=document.plan_id,
            jobs=actions,
            reason=f"rebuilt by plan {document.plan_id}",
            sends_code=document.bundle is not None,
            forced=[plan.targets.all[i].id for i in sorted(plan.rebuilt_anyway)],
            logs=logs_of(plan.targets.workspace, settings),
        ),
        "environment.sh": environment_script(plan, document, templates),
    }
    prefix = plan.targets.workspace.prefix
    for action in actions:
        files[script_of(action.target)] = templates.render(
            "slurm/job.sbatch.j2",
            action=action,
            name=job_name(prefix, action.target),
            comment=f"marin-build:{text_digest(action.target)[:16]}",
            options=options_of(action.step, settings),
            setup=settings.setup,
            words=_words(action, plan, document, settings),
            hosts=str(hosts) if (hosts := hosts_of(action.step)) > 1 else "",
        )
    return files


def logs_of(workspace: Workspace, settings: SlurmSettings) -> str:
    """Return where jobs print what is not a step's own; nodes must have that folder.

    It is a path in the project's folder. But with a bundle the nodes need not see that: then it
    lies beside the outputs, or on the node if those are in a bucket.
    """
    prefix = workspace.prefix
    if settings.code_from == "project" or relative(prefix, workspace) != prefix:
        return _LOGS
    return _LOGS_OF_NODE if is_url(prefix) else f"{prefix}/{_LOGS}"


def script_of(target: str) -> str:
    """Return the path of a target's batch script in a plan directory."""
    return f"steps/{target}/job.sbatch"


def options_of(step: StepSpec, settings: SlurmSettings) -> list[str]:
    """Return the options of `sbatch` for what a step needs, in a fixed order."""
    found = [
        f"--{key}={value}"
        for key in ("partition", "account", "qos", "constraint", "reservation")
        if (value := getattr(settings, key)) is not None
    ]
    found += ["--requeue" if settings.requeue else "--no-requeue"]
    if step.timeout is not None:
        found.append(f"--time={math.ceil((step.timeout + _MARGIN) / 60)}")
    elif settings.time_limit is not None:
        found.append(f"--time={settings.time_limit}")
    resources = step.resources
    found += [f"--nodes={hosts_of(step)}", "--ntasks-per-node=1"]
    found += _cores_and_memory(resources)
    match resources.device if resources is not None else None:
        case GpuDevice(type=kind, count=count):
            named = f"{kind}:" if settings.gpu_types else ""
            found.append(f"--gres={settings.gpu_gres}:{named}{count}")
        case TpuDevice(chips_per_host=chips):
            found.append(f"--gres={settings.tpu_gres}:{chips}")
    return [*found, *settings.options]


def _cores_and_memory(resources: ResourceConfig | None) -> list[str]:
    if resources is None:
        return ["--cpus-per-task=1"]
    found = [f"--cpus-per-task={math.ceil(resources.cpu or 1)}"]
    if resources.cpu is None and not isinstance(resources.device, CpuDevice):
        found = ["--exclusive"]  # the accelerator's whole host
        if resources.ram is None:
            return [*found, "--mem=0"]
    if resources.ram is not None:
        found.append(f"--mem={math.ceil(parse_amount(RAM, resources.ram) / (1 << 20))}M")
    return found


def sbatch_text(value: str) -> str:
    """Return what stands behind `#SBATCH`, if it can.

    Raises:
        SpecificationError: it cannot be written safely.

    """
    if not is_sbatch_word(value):
        raise SpecificationError(f"`{value}` cannot stand in a line of a batch script")
    return value


def shell_line(line: str) -> str:
    """Return a line of shell from the configuration: it is code, and stays one line.

    Raises:
        SpecificationError: it is several lines.

    """
    if "\n" in line or "\0" in line:
        raise SpecificationError("a line of `slurm.setup` is more than one line")
    return line


def _words(
    action: Action, plan: Plan, document: PlanDocument, settings: SlurmSettings
) -> tuple[str, ...]:
    _, *rest = run_step_words(action, plan, document)
    return (settings.program, *rest)
