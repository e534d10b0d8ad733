"""Makes a pipeline ask for other machines, to show whether its identities depend on them."""

from __future__ import annotations

from typing import TYPE_CHECKING, assert_never

from marin_build.pipeline.resources import CpuDevice, GpuDevice, ResourceConfig, TpuDevice
from marin_build.pipeline.tpu_slices import find_slice

if TYPE_CHECKING:
    from marin_build.pipeline.resources import Device


REGION = "europe-west9"
_SLICES = ("v6e-256", "v5p-64")
_AMOUNT = "77Gi"


def move_resources() -> None:
    """Have every ResourceConfig of this process name other machines in another region."""
    check = ResourceConfig.__post_init__

    def move(self: ResourceConfig) -> None:
        check(self)
        changed = {
            "device": _other(self.device),
            "device_alternatives": (),
            "regions": (REGION,),
            "zone": None,
            "cpu": None if self.cpu is None else self.cpu + 73,
            "ram": None if self.ram is None else _AMOUNT,
            "disk": None if self.disk is None else _AMOUNT,
            "preemptible": not self.preemptible,
            "replicas": self.replicas + 1,
            "image": None if self.image is None else f"{self.image}-elsewhere",
        }
        for name, value in changed.items():
            object.__setattr__(self, name, value)

    ResourceConfig.__post_init__ = move  # type: ignore[method-assign]


def _other(device: Device) -> Device:
    match device:
        case GpuDevice(type=kind, count=count):
            return GpuDevice("b200" if kind != "b200" else "h100", count + 1)
        case CpuDevice():
            return device
        case TpuDevice(type=kind, slice_count=count):
            shape = find_slice(_SLICES[0] if kind != _SLICES[0] else _SLICES[1])
            return TpuDevice(shape.name, shape.hosts, shape.chips_per_host, count + 1)
    assert_never(device)
