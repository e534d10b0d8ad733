"""ResourceConfig as the ArtifactStep era has it: two fields more, and other defaults."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from marin_build.compat.fray.device_table import device_table
from marin_build.compat.fray.devices import CpuConfig
from marin_build.compat.fray.resource_methods import ResourceMethods
from marin_build.compat.fray.tpu_topologies import tpu_family

if TYPE_CHECKING:
    from collections.abc import Sequence

    from marin_build.compat.fray.devices import DeviceConfig


@dataclass(eq=False)
class ResourceConfig(ResourceMethods):
    """What one task needs. Names, order and defaults of the fields must stay as they are.

    Args:
        cpu, ram, disk, device, preemptible, zone, replicas, device_alternatives, image: as in the
            ExecutorStep era.
        regions: None: where the job is that submits it; `[ANY_REGION]`: anywhere.
        target_cluster, container_profile: of Marin's own scheduler; engines take no notice.

    """

    cpu: float = 1
    ram: str = "4g"
    disk: str = "64g"
    device: DeviceConfig = field(default_factory=CpuConfig)
    preemptible: bool = True
    regions: Sequence[str] | None = None
    zone: str | None = None
    target_cluster: str | None = None
    replicas: int = 1
    device_alternatives: Sequence[str] | None = None
    image: str | None = None
    container_profile: str | None = None

    @staticmethod
    def tpu_task(tpu_type: str) -> dict[str, Any]:
        """Return one half of the host: what the rest of it does must leave it that much."""
        cpu, ram = device_table()["tpu_host_cpu_and_ram_gb"][tpu_family(tpu_type)]
        return {"cpu": max(1, cpu // 2), "ram": f"{ram // 2}g", "disk": "50g"}
