"""A step's resources as fields of a pod: requests, limits, and the nodes that may run it.

Facts: TPU slices, GPUs and spot nodes on GKE.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from marin_build.engines.kubernetes.gpu_hosts import gpu_share
from marin_build.pipeline.resources import CpuDevice, GpuDevice, ResourceConfig, TpuDevice
from marin_build.protocol.provenance import IMAGE_VARIABLE
from marin_build.redaction import without_secrets

if TYPE_CHECKING:
    from marin_build.pipeline.step_spec import StepSpec


GPU_PRODUCTS = {
    "l4": "nvidia-l4",
    "t4": "nvidia-tesla-t4",
    "a100": "nvidia-tesla-a100",
    "a100-80gb": "nvidia-a100-80gb",
    "h100": "nvidia-h100-80gb",
    "h100-mega": "nvidia-h100-mega-80gb",
    "h200": "nvidia-h200-141gb",
    "b200": "nvidia-b200",
    "gb200": "nvidia-gb200",
}
"""A type of GPU -> what GKE labels nodes with that have it."""


def product_of(kind: str) -> str:
    """Return the label of nodes with GPUs of a type; a label itself stands for itself."""
    return GPU_PRODUCTS.get(kind.lower(), kind)


GRACE = 60


@dataclass(frozen=True, slots=True)
class Pod:
    """The values of a step's pods that the templates use."""

    image: str
    command: tuple[str, ...]
    env: dict[str, str]
    requests: dict[str, str]
    limits: dict[str, str]
    node_selector: dict[str, str]
    tolerations: tuple[dict[str, str], ...]
    affinity: dict[str, Any] = field(default_factory=dict)
    grace: int = GRACE
    """Seconds that it has for its end, once it was told to end."""


def pod_of(
    resources: ResourceConfig, image: str, command: tuple[str, ...], step: StepSpec, job: str
) -> Pod:
    """Return the pod of a job that runs a command with these resources."""
    return Pod(
        image=image,
        command=command,
        # Secrets among `env_vars` are left out: the pod gets them when it loads the pipeline.
        env={
            **without_secrets(step.env_vars, step.secrets),
            IMAGE_VARIABLE: image,
            "MARIN_BUILD_JOB": f"kubernetes:{job}",
        },
        requests=_requests(resources),
        limits=_limits(resources),
        node_selector=_node_selector(resources),
        tolerations=_tolerations(resources),
        affinity=_affinity(resources),
    )


def _requests(resources: ResourceConfig) -> dict[str, str]:
    cpu, ram = _share(resources)
    found = {}
    if resources.cpu is not None or cpu:
        found["cpu"] = _cores(resources.cpu or cpu)
    if resources.ram is not None or ram:
        found["memory"] = resources.ram or f"{ram}Gi"
    if resources.disk is not None:
        found["ephemeral-storage"] = resources.disk
    return found


def _share(resources: ResourceConfig) -> tuple[float, int]:
    """Return the cores and GiB that a pod asks for unless its step says more; 0: it asks for none.

    Without requests and limits a pod may use all of a host: that is right where its accelerators
    are all that the host has. Where they are not, other pods come, and each asks for its share.
    """
    match resources.device:
        case CpuDevice():
            return 1, 4
        case GpuDevice(type=kind, count=count):
            return gpu_share(product_of(kind), count)
    return 0, 0


def _cores(cpu: float) -> str:
    """Return cores as a quantity: `4`, `2.5`; thousandths, the finest there are, as `1235m`."""
    text = f"{cpu:.3f}".rstrip("0").rstrip(".")
    return text if float(text) == cpu else f"{math.ceil(cpu * 1000)}m"


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
            found["cloud.google.com/gke-accelerator"] = product_of(kind)
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
