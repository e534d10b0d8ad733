"""Scripts that start a container for each step. Pure.

Facts: podman-run(1), docker container run.
"""

from __future__ import annotations

import math
import os
from typing import TYPE_CHECKING

from marin_build.emit.plan_directory import actions_of, environment_script, run_step_words
from marin_build.engines.jobs import job_name
from marin_build.errors import SpecificationError
from marin_build.pipeline.resources import GpuDevice
from marin_build.plan.capacity import RAM, parse_amount
from marin_build.plan.plan_id import text_digest
from marin_build.workspace.places import is_url
from marin_build.workspace.workspace import relative

if TYPE_CHECKING:
    from collections.abc import Sequence

    from marin_build.emit.plan_directory import Action
    from marin_build.emit.templates import Templates
    from marin_build.engines.container.settings import ContainerSettings
    from marin_build.pipeline.step_spec import StepSpec
    from marin_build.plan.decisions import Plan
    from marin_build.plan.document import PlanDocument


def emit_containers(
    plan: Plan,
    document: PlanDocument,
    templates: Templates,
    settings: ContainerSettings,
    runtime: str,
) -> dict[str, str]:
    """Return path -> text: a script for each step to build that has an image, and one for all.

    The other steps have the scripts of this machine.
    """
    workspace = plan.targets.workspace
    files = {"environment.sh": environment_script(plan, document, templates)}
    in_project = settings.code_from == "project"
    prefix = workspace.prefix if not in_project else relative(workspace.prefix, workspace)
    prefix = "" if is_url(prefix) else prefix
    sources = [it for target in plan.targets.all for it in target.step.inputs.values()]
    inputs = sorted({it.location for it in sources if not is_url(it.location)})
    for action in actions_of(plan):
        image = image_of(action.step, settings)
        if image is None:
            files[f"{action.folder}/run.sh"] = templates.render(
                "local/step.sh.j2", action=action, up="../" * (2 + action.target.count("/"))
            )
            continue
        name = job_name(workspace.prefix, action.target)
        files[script_of(action.target)] = templates.render(
            "container/step.sh.j2",
            action=action,
            name=name,
            job=f"container:{name}",
            target_digest=text_digest(action.target)[:16],
            runtime=runtime,
            image=image,
            prefix=prefix,
            options=_options(action, plan, inputs, settings, runtime),
            program=settings.program,
            in_project=in_project,
            arguments=run_step_words(action, plan, document, once=True, in_project=in_project)[1:],
        )
    return files


def image_of(step: StepSpec, settings: ContainerSettings) -> str | None:
    """Return the image a step runs in; None: it runs outside any container."""
    own = step.resources.image if step.resources is not None else None
    return own or settings.image


def script_of(target: str) -> str:
    """Return the path of a target's script in a plan directory."""
    return f"steps/{target}/container.sh"


def _options(
    action: Action,
    plan: Plan,
    inputs: Sequence[str],
    settings: ContainerSettings,
    runtime: str,
) -> list[str]:
    """Return the options of `run` for what a step needs, in a fixed order."""
    workspace, resources = plan.targets.workspace, action.step.resources
    found = []
    is_remote = is_url(workspace.prefix)
    network = settings.network or (None if is_remote else "none")
    if network is not None:
        found.append(f"--network={network}")
    found += _volumes(action, plan, inputs, in_project=settings.code_from == "project")
    for volume in settings.volumes:
        found += ["--volume", volume]
    if resources is not None and resources.cpu is not None:
        found.append(f"--cpus={resources.cpu:g}")
    if resources is not None and resources.ram is not None:
        found.append(f"--memory={math.ceil(parse_amount(RAM, resources.ram))}b")
    if resources is not None and isinstance(resources.device, GpuDevice):
        if runtime == "docker":
            found.append(f"--gpus={resources.device.count}")
        else:
            found.append("--device=nvidia.com/gpu=all")
    return [*found, *settings.options]


def _volumes(action: Action, plan: Plan, inputs: Sequence[str], *, in_project: bool) -> list[str]:
    """Return the options for places beside the project: prefix, outputs elsewhere, inputs.

    Args:
        action: the step.
        plan: its plan.
        inputs: the local inputs of the whole pipeline: it is loaded inside, and reads all of them.
        in_project: whether the container sees the project's folder; else what is in it comes from
            a bundle, or lies in the image.

    """
    targets, workspace = plan.targets, plan.targets.workspace
    index = targets.by_id[action.target]
    seen = [workspace.project] if in_project else []
    found: list[str] = []

    def add(path: str, mode: str = "") -> None:
        if not is_url(path) and not any(_is_in(path, other) for other in seen):
            seen.append(path)
            found.extend(["--volume", _bind(path) + mode])

    add(workspace.prefix)
    own = targets.all[index].output_path
    if not _is_in(own, workspace.prefix):
        add(os.path.dirname(own))
    for dep in targets.deps[index]:
        add(os.path.dirname(targets.all[dep].output_path), ":ro")
    for place in sorted(workspace.adopted.values()):
        add(place, ":ro")
    for path in inputs:
        if not _is_in(path, workspace.project):
            add(path, ":ro")
    return found


def _is_in(path: str, folder: str) -> bool:
    return path == folder or path.startswith(folder.rstrip("/") + "/")


def _bind(path: str) -> str:
    """Return a volume that has one place inside and outside.

    Raises:
        SpecificationError: its path would be read as several words.

    """
    if ":" in path or "," in path:
        raise SpecificationError(f"`{path}` cannot be mounted: it has a colon or a comma")
    return f"{path}:{path}"
