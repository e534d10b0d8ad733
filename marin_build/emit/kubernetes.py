"""Job specs for Kubernetes: a Job for a step on one pod, a JobSet for a gang.

Facts: batch/v1 Job, jobset.x-k8s.io/v1alpha2 JobSet v0.12, TPU slices on GKE.
Submitting them is not part of this module.
"""

from __future__ import annotations

import functools
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from marin_build.emit.actions import Action, action_of
from marin_build.emit.kubernetes_retries import deadline_of, job_retries
from marin_build.emit.plan_id import text_digest
from marin_build.emit.quoting import plain_words
from marin_build.environment import IMAGE_VARIABLE
from marin_build.errors import UsageError, combined
from marin_build.identity import HASH_ID_LENGTH
from marin_build.names import did_you_mean
from marin_build.plan import Kind
from marin_build.redaction import without_secrets
from marin_build.resources import CpuDevice, GpuDevice, ResourceConfig, TpuDevice
from marin_build.workspace import is_url

if TYPE_CHECKING:
    from collections.abc import Mapping

    from marin_build.emit.document import PlanDocument
    from marin_build.emit.templates import Templates
    from marin_build.errors import MarinBuildError
    from marin_build.plan import Plan

_LONGEST_LABEL = 63
_WORKER = "w"
_DEFAULT_DEADLINE = 7 * 24 * 3600
_GPU_LABELS = {
    "l4": "nvidia-l4",
    "t4": "nvidia-tesla-t4",
    "a100": "nvidia-tesla-a100",
    "a100-80gb": "nvidia-a100-80gb",
    "h100": "nvidia-h100-80gb",
    "h100-mega": "nvidia-h100-mega-80gb",
    "h200": "nvidia-h200-141gb",
    "b200": "nvidia-b200",
}


@dataclass(frozen=True, slots=True)
class KubernetesSettings:
    """`[tool.marin-build.kubernetes]`.

    Args:
        image: for steps that name none; best with its digest.
        namespace, service_account, queue, priority_class: of the cluster; the last two Kueue's.
        working_dir: where the project is inside the image.
        secrets: names of Secrets whose keys become environment variables.
        deadline: seconds after which a step without a time-out is given up; without one, a node
            that crashes its pods again and again would be given new ones for ever.
        keep_finished: seconds a finished Job stays; its name is taken for that long.

    """

    image: str | None = None
    namespace: str | None = None
    service_account: str | None = None
    queue: str | None = None
    priority_class: str | None = None
    working_dir: str | None = None
    secrets: tuple[str, ...] = ()
    deadline: int = _DEFAULT_DEADLINE
    keep_finished: int = _DEFAULT_DEADLINE


@dataclass(frozen=True, slots=True)
class Pod:
    """What the templates need of a step's pods."""

    image: str
    command: tuple[str, ...]
    env: dict[str, str]
    requests: dict[str, str]
    limits: dict[str, str]
    node_selector: dict[str, str]
    tolerations: tuple[dict[str, str], ...]
    affinity: dict[str, Any] = field(default_factory=dict)


def emit_kubernetes(
    plan: Plan, document: PlanDocument, templates: Templates, settings: Mapping[str, Any]
) -> dict[str, str]:
    """Return path -> text: one manifest for each target to build.

    Raises:
        UsageError: unknown settings, or steps that cannot run there, all together.

    """
    cluster = parse_kubernetes_settings(settings)
    files: dict[str, str] = {}
    errors: list[MarinBuildError] = []
    if not is_url(plan.targets.workspace.prefix):
        errors.append(
            UsageError(
                f"pods cannot see the prefix `{document.prefix}`",
                hint="give a bucket: --prefix gs://bucket/path",
            )
        )
    for decision in plan.of_kind(Kind.RUN, Kind.WAIT):
        action = action_of(plan, decision)
        resources = action.step.resources or ResourceConfig.with_cpu()
        image = resources.image or cluster.image
        if image is None:
            errors.append(
                UsageError(
                    f"`{action.name}` has no image to run in",
                    hint="set `image` in [tool.marin-build.kubernetes], or on the step's resources",
                )
            )
            continue
        files[f"{action.folder}/job.yaml"] = _manifest(
            action, resources, image, cluster, plan, document, templates
        )
    if errors:
        raise combined(errors)
    return files


def parse_kubernetes_settings(table: Mapping[str, Any]) -> KubernetesSettings:
    """Return the engine's settings.

    Raises:
        UsageError: an unknown key or a value of the wrong type.

    """
    known = KubernetesSettings.__dataclass_fields__
    for key, value in table.items():
        if key not in known:
            raise UsageError(f"unknown setting `kubernetes.{key}`", hint=did_you_mean(key, known))
        match key, value:
            case "secrets", list() if all(isinstance(name, str) for name in value):
                pass
            case "secrets", _:
                raise UsageError("the setting `kubernetes.secrets` is not a list of names")
            case (("deadline" | "keep_finished"), int()) if (
                not isinstance(value, bool) and value > 0
            ):
                pass
            case (("deadline" | "keep_finished"), _):
                raise UsageError(f"the setting `kubernetes.{key}` is not a int above 0")
            case _, str():
                pass
            case _:
                raise UsageError(f"the setting `kubernetes.{key}` is not a str")
    values = dict(table)
    if "secrets" in values:
        values["secrets"] = tuple(values["secrets"])
    return KubernetesSettings(**values)


def _manifest(
    action: Action,
    resources: ResourceConfig,
    image: str,
    cluster: KubernetesSettings,
    plan: Plan,
    document: PlanDocument,
    templates: Templates,
) -> str:
    pod = Pod(
        image=image,
        command=_command(action, plan, document),
        # A secret that the author gives a step reaches it when the pod loads the pipeline.
        env={**without_secrets(action.step.env_vars), IMAGE_VARIABLE: image},
        requests=_requests(resources),
        limits=_limits(resources),
        node_selector=_node_selector(resources),
        tolerations=_tolerations(resources),
        affinity=_affinity(resources),
    )
    retries = job_retries(action.step)
    deadline = functools.partial(deadline_of, action.step, cluster.deadline)
    common = {
        "action": action,
        "pod": pod,
        "cluster": cluster,
        "retries": retries,
        "plan_id": document.plan_id,
    }
    match resources.device:
        case TpuDevice(hosts=hosts, slice_count=slices):
            pass
        case _ if resources.replicas > 1:
            hosts, slices = resources.replicas, 1
        case _:
            return templates.render(
                "kubernetes/job.yaml.j2",
                name=job_name(action.target, _LONGEST_LABEL),
                deadline=deadline(tries=retries.limit + 1),
                **common,
            )
    # The webhook tests <jobset>-<job>-<slice>-<pod>-abcde against 63 characters.
    longest = _LONGEST_LABEL - 9 - len(_WORKER) - len(str(slices - 1)) - len(str(hosts - 1))
    return templates.render(
        "kubernetes/jobset.yaml.j2",
        name=job_name(action.target, longest),
        deadline=deadline(tries=1),  # a gang that restarts gets new jobs
        worker=_WORKER,
        hosts=hosts,
        slices=slices,
        is_tpu=isinstance(resources.device, TpuDevice),
        **common,
    )


def job_name(target: str, longest: int) -> str:
    """Return the name of a target's job: `mb-<slug>-<hash>`, a DNS-1035 label.

    The hash is the target's own, or, for a versioned one, that of its whole id.
    """
    slug, _, tail = target.rpartition("_")
    if "@" in target:
        slug, tail = target, text_digest(target)[:HASH_ID_LENGTH]
    clean = re.sub(r"[^a-z0-9]+", "-", slug.lower()).strip("-") or "step"
    return f"mb-{clean[: longest - len(tail) - 4].strip('-')}-{tail}"


def _command(action: Action, plan: Plan, document: PlanDocument) -> tuple[str, ...]:
    settings = [
        part
        for key, value in sorted(document.parameters.items())
        for part in ("--set", f"{key}={value}")
    ]
    policy = ("--code-policy", document.code) if document.code is not None else ()
    words = plain_words(action.command, plan.targets.workspace)
    return (
        "marin-build",
        "run-step",
        "--file",
        document.pipeline,
        *settings,
        *policy,
        "--prefix",
        plan.targets.workspace.prefix,
        "--target",
        action.target,
        "--once",
        *(["--", *words] if words else []),
    )


def _requests(resources: ResourceConfig) -> dict[str, str]:
    whole_host = isinstance(resources.device, TpuDevice)
    found = {}
    if resources.cpu is not None or not whole_host:
        found["cpu"] = f"{resources.cpu or 1:g}"
    if resources.ram is not None or not whole_host:
        found["memory"] = resources.ram or "4Gi"
    if resources.disk is not None:
        found["ephemeral-storage"] = resources.disk
    return found


def _limits(resources: ResourceConfig) -> dict[str, str]:
    limits = {key: value for key, value in _requests(resources).items() if key != "cpu"}
    match resources.device:
        case TpuDevice(chips_per_host=chips):
            limits["google.com/tpu"] = str(chips)
        case GpuDevice(count=count):
            limits["nvidia.com/gpu"] = str(count)
        case CpuDevice():
            pass
    return limits


def _node_selector(resources: ResourceConfig) -> dict[str, str]:
    found: dict[str, str] = {}
    match resources.device:
        case TpuDevice() as tpu:
            found["cloud.google.com/gke-tpu-accelerator"] = tpu.slice.gke_accelerator
            found["cloud.google.com/gke-tpu-topology"] = tpu.slice.topology
        case GpuDevice(type=kind):
            found["cloud.google.com/gke-accelerator"] = _GPU_LABELS.get(kind, kind)
        case CpuDevice():
            pass
    if resources.preemptible:
        found["cloud.google.com/gke-spot"] = "true"
    if resources.zone is not None:
        found["topology.kubernetes.io/zone"] = resources.zone
    return found


def _tolerations(resources: ResourceConfig) -> tuple[dict[str, str], ...]:
    found = []
    match resources.device:
        case TpuDevice():
            found.append({"key": "google.com/tpu", "operator": "Exists", "effect": "NoSchedule"})
        case GpuDevice():
            found.append({"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"})
        case CpuDevice():
            pass
    if resources.preemptible:
        found.append(
            {
                "key": "cloud.google.com/gke-spot",
                "operator": "Equal",
                "value": "true",
                "effect": "NoSchedule",
            }
        )
    return tuple(found)


def _affinity(resources: ResourceConfig) -> dict[str, Any]:
    if not resources.regions:
        return {}
    rule = {
        "key": "topology.kubernetes.io/region",
        "operator": "In",
        "values": list(resources.regions),
    }
    return {
        "nodeAffinity": {
            "requiredDuringSchedulingIgnoredDuringExecution": {
                "nodeSelectorTerms": [{"matchExpressions": [rule]}]
            }
        }
    }
