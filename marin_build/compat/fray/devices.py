"""The devices that a job can ask for, with fray's fields: they are identity when versioned."""

from __future__ import annotations

from dataclasses import dataclass

from marin_build.compat.fray.device_flops import device_flops
from marin_build.compat.fray.tpu_topologies import get_tpu_topology

_LIBTPU_VMEM_KIB = {"v5litepod": 50000, "v5e": 50000, "v5p": 50000, "v6e": 98304}
"""The scoped memory that XLA may use on a generation."""


@dataclass(frozen=True)
class CpuConfig:
    """No accelerator."""

    kind: str = "cpu"
    variant: str = "cpu"

    def chip_count(self) -> int:
        """Return 0."""
        return 0

    def device_flops(self, dtype: str = "bf16") -> float:
        """Raise NotImplementedError: nobody says how fast a CPU is."""
        raise NotImplementedError("CPU FLOPS not available")

    def default_env_vars(self) -> dict[str, str]:
        """Return what jobs on it have in their environment."""
        return {"JAX_PLATFORMS": "cpu"}


@dataclass(frozen=True)
class GpuConfig:
    """`count` GPUs of a type, `H100`, in each replica."""

    variant: str
    kind: str = "gpu"
    count: int = 1

    def chip_count(self) -> int:
        """Return the GPUs of one replica."""
        return self.count

    def device_flops(self, dtype: str = "bf16") -> float:
        """Return the peak of one GPU.

        Raises:
            ValueError: it is not known.

        """
        return _known_flops(self.variant, dtype)

    def total_flops(self, dtype: str = "bf16") -> float:
        """Return the peak of one replica."""
        return self.device_flops(dtype) * self.count

    def default_env_vars(self) -> dict[str, str]:
        """Return what jobs on it have in their environment."""
        return {"JAX_PLATFORMS": ""}


@dataclass(frozen=True)
class TpuConfig:
    """A TPU slice, `v5p-64`; each of its VMs is a replica."""

    variant: str
    kind: str = "tpu"
    topology: str | None = None

    def chip_count(self) -> int:
        """Return the chips of one VM."""
        return get_tpu_topology(self.variant).chips_per_vm

    def vm_count(self) -> int:
        """Return the VMs of the slice."""
        return get_tpu_topology(self.variant).vm_count

    def device_flops(self, dtype: str = "bf16") -> float:
        """Return the peak of one chip.

        Raises:
            ValueError: it is not known.

        """
        return _known_flops(self.variant, dtype)

    def total_flops(self, dtype: str = "bf16") -> float:
        """Return the peak of one VM."""
        return self.device_flops(dtype) * self.chip_count()

    def default_env_vars(self) -> dict[str, str]:
        """Return what jobs on it have in their environment."""
        found = {"JAX_PLATFORMS": ""}
        generation, dash, _ = self.variant.partition("-")
        if dash and (limit := _LIBTPU_VMEM_KIB.get(generation)):
            found["LIBTPU_INIT_ARGS"] = f"--xla_tpu_scoped_vmem_limit_kib={limit}"
        return found


DeviceConfig = CpuConfig | GpuConfig | TpuConfig


def _known_flops(variant: str, dtype: str) -> float:
    flops = device_flops(variant, dtype)
    if flops is None:
        raise ValueError(f"Unknown device/dtype: {variant}/{dtype}")
    return flops
