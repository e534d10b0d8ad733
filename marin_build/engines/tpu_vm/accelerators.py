"""What the Cloud TPU API calls a slice, and which ones it offers. Pure.

Source: the table of slices in `data/tpu_slices.json`, and Google's page on runtime versions.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from marin_build.errors import UsageError

if TYPE_CHECKING:
    from marin_build.pipeline.resources import ResourceConfig, TpuDevice

RUNTIMES = {
    "v4": "tpu-ubuntu2204-base",
    "v5e": "v2-alpha-tpuv5-lite",
    "v5p": "v2-alpha-tpuv5",
    "v6e": "v2-alpha-tpuv6e",
}
"""The usual software of the machines of a generation."""
_ONLY_ON_GKE = ("v5p-13824", "v5p-17920")
_ON_ONE_HOST = ("v5litepod-8", "v6e-8")
"""Slices of 8 chips that GKE also has on two hosts."""


def check_slice(name: str, device: TpuDevice, runtime: str | None) -> UsageError | None:
    """Return why no queued resource can have the slices of a step; None if one can.

    Args:
        name: of the step.
        device: what it asks for.
        runtime: the software of the machines, where it is set.

    """
    shape = device.slice
    is_offered = shape.generation in RUNTIMES and device.type not in _ONLY_ON_GKE
    if not hasattr(device, "own") and not is_offered:
        return UsageError(
            f"`{name}` needs a `{device.type}`, which is there on Kubernetes only",
            hint="send it elsewhere: --engine kubernetes",
        )
    if shape.name in _ON_ONE_HOST and device.hosts != 1:
        return UsageError(
            f"`{name}` needs a `{device.type}` of {device.hosts} hosts, as TPU VMs it has one",
            hint=f'give it one: ResourceConfig.with_tpu("{device.type}", hosts=1)',
        )
    if runtime is None and shape.generation not in RUNTIMES:
        return UsageError(
            f"nothing is known of the software for the `{device.type}` of `{name}`",
            hint="name it: tpu-vm.runtime_version",
        )
    return None


def check_place(name: str, resources: ResourceConfig, zone: str) -> UsageError | None:
    """Return why a step cannot run in a zone; None if it can."""
    region = zone.rpartition("-")[0]
    is_there = resources.zone in {None, zone} and region in (resources.places or (region,))
    if is_there:
        return None
    wanted = resources.zone or ", ".join(resources.places)
    return UsageError(
        f"`{name}` is to run in {wanted}, and `tpu-vm.zone` is {zone}",
        hint="set the zone in a profile of its own, or drop it at the step",
    )
