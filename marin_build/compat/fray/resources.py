"""ResourceConfig as the ExecutorStep era had it: its fields are identity when it is versioned."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from marin_build.compat.fray.devices import CpuConfig
from marin_build.compat.fray.resource_methods import ResourceMethods

if TYPE_CHECKING:
    from collections.abc import Sequence

    from marin_build.compat.fray.devices import DeviceConfig


@dataclass(eq=False)
class ResourceConfig(ResourceMethods):
    """What one task needs. Names, order and defaults of the fields must stay as they are.

    Args:
        cpu: cores.
        ram, disk: `16g`; every unit is binary.
        device: CpuConfig, GpuConfig or TpuConfig.
        preemptible: may run on capacity that can be taken away.
        regions: where it may run; None: where the job is that submits it.
        zone: where it must run.
        replicas: tasks that run as one gang; of TPU slices, all of their VMs.
        device_alternatives: other TPU slices of the same shape.
        image: container image; None: the engine's.

    """

    cpu: float = 1
    ram: str = "4g"
    disk: str = "16g"
    device: DeviceConfig = field(default_factory=CpuConfig)
    preemptible: bool = True
    regions: Sequence[str] | None = None
    zone: str | None = None
    replicas: int = 1
    device_alternatives: Sequence[str] | None = None
    image: str | None = None

    @staticmethod
    def tpu_task(tpu_type: str) -> dict[str, Any]:
        """Return the same for every slice."""
        del tpu_type
        return {"cpu": 32, "ram": "128g", "disk": "50g"}
