"""Turns what fray's jobs ask for into the resources of a step."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from marin_build.compat.fray.devices import CpuConfig, GpuConfig, TpuConfig
from marin_build.compat.fray.tpu_topologies import get_tpu_topology
from marin_build.errors import SpecificationError
from marin_build.pipeline.amounts import amount_bytes
from marin_build.pipeline.resources import CpuDevice, ResourceConfig, TpuDevice

if TYPE_CHECKING:
    from collections.abc import Sequence

    from marin_build.compat.fray.resource_fields import ResourceFields
    from marin_build.pipeline.resources import Device

ANY_REGION = "*"
"""The only one of `regions`: it runs anywhere, wherever the job is that submits it."""


def lowered(fray: ResourceFields) -> ResourceConfig:
    """Return the resources of a step.

    Raises:
        SpecificationError: an amount is not readable, or the replicas are not whole slices.

    """
    device = _device(fray)
    return ResourceConfig(
        cpu=fray.cpu or None,
        ram=_amount(fray.ram),
        disk=_amount(fray.disk),
        device=device,
        preemptible=fray.preemptible,
        regions=_regions(fray.regions),
        zone=fray.zone,
        # The hosts of a slice are no replicas of a step: its engine knows them.
        replicas=1 if isinstance(device, TpuDevice) else fray.replicas,
        image=fray.image,
        device_alternatives=cast("tuple[str, ...]", fray.device_alternatives or ()),
    )


def _device(fray: ResourceFields) -> Device:
    match fray.device:
        case TpuConfig(variant=name):
            try:
                shape = get_tpu_topology(name)
            except ValueError as error:
                raise SpecificationError(str(error)) from None
            slices = _slices(name, fray.replicas, shape.vm_count)
            return TpuDevice(name, shape.vm_count, shape.chips_per_vm, slices)
        case GpuConfig(variant=name, count=count):
            return ResourceConfig.with_gpu(name, count).device
        case CpuConfig():
            return CpuDevice()
    raise SpecificationError(
        f"`device` is a {type(fray.device).__name__}, not a device",
        hint="use ResourceConfig.with_cpu, .with_gpu or .with_tpu",
    )


def _slices(name: str, replicas: int, vms: int) -> int:
    """Return how many slices have that many VMs together.

    One replica is what a config holds whose author set only the device: it means one slice.
    """
    if replicas == 1:
        return 1
    if replicas < 1 or replicas % vms:
        raise SpecificationError(
            f"{replicas} replicas are not whole slices of `{name}`",
            facts=[("one slice", f"{vms} VMs, each of them a replica")],
            hint=f'use ResourceConfig.with_tpu("{name}", slice_count=...)',
        )
    return replicas // vms


def _regions(regions: Sequence[str] | None) -> tuple[str, ...]:
    """Return the regions, in which anywhere is none at all."""
    if isinstance(regions, str):
        return cast("tuple[str, ...]", regions)  # resources of a step refuse a text
    return () if regions is None or ANY_REGION in regions else tuple(regions)


def _amount(size: str) -> str | None:
    """Return an amount; a job that asks for nothing leaves it to the engine."""
    return None if amount_bytes(size) == 0 else size
