"""Queued resources for steps that need TPUs: bodies of requests, with the script in them. Pure.

Facts: `QueuedResource` of the Cloud TPU API v2, and what gcloud 528 sends for the same. The request
has one field with a script, which each machine of it runs as it boots.
"""

from __future__ import annotations

import json
import re
import shlex
from typing import TYPE_CHECKING, Any

from marin_build.emit.plan_directory import actions_of, environment_script, run_step_words
from marin_build.engines.jobs import job_name
from marin_build.engines.tpu_vm.accelerators import RUNTIMES
from marin_build.errors import SpecificationError
from marin_build.pipeline.resources import TpuDevice
from marin_build.pipeline.retries import SAID_OF_INFRASTRUCTURE
from marin_build.plan.plan_id import text_digest
from marin_build.untrusted_json import parse_json, table

if TYPE_CHECKING:
    from collections.abc import Callable

    from marin_build.emit.plan_directory import Action
    from marin_build.emit.templates import Templates
    from marin_build.engines.tpu_vm.settings import TpuVmSettings
    from marin_build.pipeline.step_spec import StepSpec
    from marin_build.plan.decisions import Plan
    from marin_build.plan.document import PlanDocument

JOB_KEY, LAUNCH_KEY = "marin-build-job", "marin-build-launch"
SINCE_KEY = "marin-build-queued-since"
"""Metadata of a machine: the name of its queued resource, that of the start of it, and when it was
submitted, in seconds since 1970."""
JOB_LABEL = "marin-build-job"
"""A label of its nodes: the name of the job, which is the same for each number of it."""
_LARGEST_SCRIPT = 256 << 10
"""Bytes that one value of metadata may have."""
_LONGEST_SLUG = 30
_VARIABLES = ("MARIN_BUILD_JOB", "MARIN_BUILD_QUEUED_SINCE", "JAX_PLATFORMS", "PJRT_DEVICE")
_OF_GANGS = tuple(f"MARIN_BUILD_{name}" for name in ("LAUNCH", "LEADER", "RANK", "RANKS"))


def emit_tpu_vms(
    plan: Plan, document: PlanDocument, templates: Templates, settings: TpuVmSettings
) -> dict[str, str]:
    """Return path -> text: a queued resource for each step that needs TPUs, a script for others.

    Raises:
        SpecificationError: the script of a step is too long for the metadata of a machine.

    """
    actions = actions_of(plan)
    prefix = plan.targets.workspace.prefix
    names = {
        action.target: resource_name(prefix, action.target) if device_of(action.step) else ""
        for action in actions
    }
    files = {
        "submit.sh": templates.render(
            "tpu_vm/submit.sh.j2",
            plan_id=document.plan_id,
            jobs=actions,
            names=names,
            parent=parent_of(settings),
            reason=f"rebuilt by plan {document.plan_id}",
            sends_code=document.bundle is not None,
            forced=[plan.targets.all[i].id for i in sorted(plan.rebuilt_anyway)],
        ),
        "environment.sh": environment_script(plan, document, templates),
    }
    for action in actions:
        device = device_of(action.step)
        if device is None:
            files[f"{action.folder}/run.sh"] = templates.render(
                "local/step.sh.j2", action=action, up="../" * (2 + action.target.count("/"))
            )
            continue
        script = _startup_script(action, device, plan, document, templates, settings)
        name = names[action.target]
        files[file_of(action.target)] = templates.render(
            "tpu_vm/queued_resource.json.j2",
            action=action,
            name=name,
            parent=parent_of(settings),
            capacity=_capacity(action.step, settings),
            naming=_naming(name, device.slice_count),
            node=_node(action, name, device, settings),
            metadata={
                "startup-script": script,
                "enable-guest-attributes": "TRUE",
                JOB_KEY: name,
                LAUNCH_KEY: name,
                SINCE_KEY: "",
            },
        )
    return files


def device_of(step: StepSpec) -> TpuDevice | None:
    """Return the TPU that a step asks for; None if it asks for none."""
    device = step.resources.device if step.resources is not None else None
    return device if isinstance(device, TpuDevice) else None


def file_of(target: str) -> str:
    """Return the path of a target's file in a plan directory."""
    return f"steps/{target}/queued_resource.json"


def resource_name(prefix: str, target: str) -> str:
    """Return the name of a target's job, as far as it is the same for every submit.

    With a number behind it, it is a legal id of a queued resource and of a node: lower-case
    letters, digits and hyphens.
    """
    name, _, digest = job_name(prefix, target).rpartition("-")
    slug = re.sub("[^a-z0-9]+", "-", name.lower())[:_LONGEST_SLUG].strip("-")
    return f"{slug}-{digest}"


def parent_of(settings: TpuVmSettings) -> str:
    """Return what the API calls the project and the zone."""
    return f"projects/{settings.project}/locations/{settings.zone}"


def json_text(value: object) -> str:
    """Return a value as JSON on one line, in a fixed order."""

    def refuse(part: object) -> object:
        raise TypeError(f"cannot write {part} as JSON")

    return json.dumps(value, sort_keys=True, allow_nan=False, default=refuse)


def with_id(spec: str, name: str, id_: str, launch: str, since: float) -> dict[str, Any]:
    """Return the body of a request with its id where the name of its job stands.

    Args:
        spec: the file of the job.
        name: of the job.
        id_: of this queued resource.
        launch: the name of this start of it, which all of its machines read.
        since: when it is submitted, in seconds since 1970.

    Raises:
        ValueError: it is no such file.

    """
    body = table(parse_json(spec))
    try:
        (part,) = body["tpu"]["nodeSpec"]
        metadata = part["node"]["metadata"]
        naming = part.get("multisliceParams", part)
        key = "nodeIdPrefix" if naming is not part else "nodeId"
        names = {naming[key], metadata[JOB_KEY], part["node"]["labels"][JOB_LABEL]}
    except (LookupError, TypeError, ValueError):
        raise ValueError("it is no queued resource of marin-build") from None
    if names != {name}:
        raise ValueError(f"it does not name `{name}`")
    naming[key] = metadata[JOB_KEY] = id_
    metadata[LAUNCH_KEY], metadata[SINCE_KEY] = launch, f"{since:.3f}"
    return body


def _startup_script(
    action: Action,
    device: TpuDevice,
    plan: Plan,
    document: PlanDocument,
    templates: Templates,
    settings: TpuVmSettings,
) -> str:
    resources = action.step.resources
    ranks = device.hosts * device.slice_count
    _, *arguments = run_step_words(action, plan, document, in_project=False)
    script = templates.render(
        "tpu_vm/startup.sh.j2",
        action=action,
        parent=parent_of(settings),
        hosts=str(device.hosts),
        slices=device.slice_count,
        ranks=ranks,
        rank_count=str(ranks),
        image=(resources.image if resources is not None else None) or settings.image,
        variables=[*_VARIABLES, *(_OF_GANGS if ranks > 1 else ())],
        options=settings.options,
        setup=settings.setup,
        program=settings.program,
        arguments=arguments,
        linger=f"{settings.linger * 60:.10g}",
        said_of_infrastructure=SAID_OF_INFRASTRUCTURE,
    )
    if len(script.encode()) > _LARGEST_SCRIPT:
        raise SpecificationError(
            f"the startup script of `{action.name}` is too long for the metadata of a machine",
            facts=[("limit", f"{_LARGEST_SCRIPT >> 10} KiB")],
            hint="put what is long into a file of the project",
        )
    return script


def _capacity(step: StepSpec, settings: TpuVmSettings) -> dict[str, Any]:
    """Return the fields that say which machines will do, and how long to wait for them."""
    found: dict[str, Any] = {}
    if step.resources is not None and step.resources.preemptible:
        found["spot"] = {}
    elif settings.reserved:
        found["reservationName"] = f"{parent_of(settings)}/reservations/-"
    if settings.valid_until is not None:
        found["queueingPolicy"] = {"validUntilDuration": f"{round(settings.valid_until * 3600)}s"}
    return found


def _naming(name: str, slices: int) -> dict[str, Any]:
    if slices == 1:
        return {"nodeId": name}
    return {"multisliceParams": {"nodeCount": slices, "nodeIdPrefix": name}}


def _node(action: Action, name: str, device: TpuDevice, settings: TpuVmSettings) -> dict[str, Any]:
    """Return the fields of a node beside its metadata."""
    network: dict[str, Any] = {"enableExternalIps": not settings.internal_ips}
    if settings.network is not None or settings.subnetwork is None:
        network["network"] = settings.network or "default"
    if settings.subnetwork is not None:
        network["subnetwork"] = settings.subnetwork
    node: dict[str, Any] = {
        "acceleratorType": device.slice.name,
        "runtimeVersion": settings.runtime_version or RUNTIMES[device.slice.generation],
        "networkConfig": network,
        "labels": {
            **settings.labels,
            "managed-by": "marin-build",
            JOB_LABEL: name,
            "marin-build-target": text_digest(action.target)[:16],
        },
    }
    if settings.service_account is not None:
        node["serviceAccount"] = {"email": settings.service_account}
    if settings.tags:
        node["tags"] = list(settings.tags)
    return node


def _shell_line(line: str) -> str:
    """Return a line of shell from the configuration, which is code; settings.py checked it."""
    return line


FILTERS: dict[str, Callable[[Any], str]] = {
    "json": json_text,
    "sh_words": shlex.join,
    "shell_line": _shell_line,
}
"""Filters of our templates."""
