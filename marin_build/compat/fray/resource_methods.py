"""What both forms of fray's ResourceConfig can do; their fields are in modules of their own."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Self

from marin_build.compat.fray.byte_sizes import scaled_size
from marin_build.compat.fray.devices import CpuConfig, GpuConfig, TpuConfig
from marin_build.compat.fray.lowered_resources import lowered
from marin_build.compat.fray.resource_fields import ResourceFields
from marin_build.compat.fray.tpu_topologies import get_tpu_topology
from marin_build.pipeline.resources import ResourceConfig as NativeResources
from marin_build.pipeline.stands_for import StandsForResources

if TYPE_CHECKING:
    from collections.abc import Sequence

_CPU_FLOPS = 100e9
"""What fray counts for a job without an accelerator, whatever its cores."""


class ResourceMethods(ResourceFields, StandsForResources):
    """What a task needs: fields that anybody may set, which are checked when they are lowered."""

    if TYPE_CHECKING:  # a dataclass has it

        def __init__(self, *args: Any, **fields: Any) -> None: ...

    @staticmethod
    def tpu_task(tpu_type: str) -> dict[str, Any]:
        """Return what a task on a slice is given of its host, unless its author says it."""
        raise NotImplementedError

    @property
    def lowered_resources(self) -> NativeResources:
        """The same as resources of a step.

        Raises:
            SpecificationError: there are no such resources.

        """
        return lowered(self)

    def __eq__(self, other: object) -> bool:
        """Return whether the fields are equal; to resources of a step, whether these are meant."""
        if type(other) is type(self):
            return vars(self) == vars(other)
        return self.lowered_resources == other if isinstance(other, NativeResources) else False

    __hash__ = None  # type: ignore[assignment]  # it can be changed

    def chip_count(self) -> int:
        """Return the accelerator chips of all replicas."""
        return self.device.chip_count() * self.replicas

    def device_flops(self, dtype: str = "bf16") -> float:
        """Return the peak of one chip, in operations per second.

        Raises:
            NotImplementedError: there is no accelerator.
            ValueError: it is not known.

        """
        return self.device.device_flops(dtype)

    def total_flops(self, dtype: str = "bf16") -> float:
        """Return the peak of all chips together; 1e11 without an accelerator."""
        if isinstance(self.device, CpuConfig):
            return _CPU_FLOPS
        return self.device_flops(dtype) * self.chip_count()

    def scale(
        self,
        factor: float | None = None,
        /,
        *,
        cpu: float | None = None,
        ram: float | None = None,
        disk: float | None = None,
    ) -> Self:
        """Return a copy with a multiple of cpu, ram and disk, or of each by its own factor.

        Raises:
            ValueError: both one factor and others were given, or an amount is not readable.

        """
        own = (cpu, ram, disk)
        if factor is not None and own != (None, None, None):
            raise ValueError("give one factor, or factors for cpu, ram and disk, not both")
        everywhere = 1.0 if factor is None else factor
        cpu, ram, disk = (everywhere if one is None else one for one in own)
        return replace(  # type: ignore[type-var]
            self,
            cpu=self.cpu * cpu,
            ram=scaled_size(self.ram, ram),
            disk=scaled_size(self.disk, disk),
        )

    @classmethod
    def with_tpu(
        cls, tpu_type: str | Sequence[str], *, slice_count: int = 1, **fields: Any
    ) -> Self:
        """Return resources with TPU slices.

        Args:
            tpu_type: a slice, `v5p-64`, or several of the same shape, the preferred one first.
            slice_count: slices that run as one gang; each VM of them is a replica.
            fields: other fields.

        Raises:
            ValueError: no such slice, none at all, or their shapes differ.

        """
        names = [tpu_type] if isinstance(tpu_type, str) else list(tpu_type)
        if not names:
            raise ValueError("tpu_type must be non-empty")
        shapes = {name: get_tpu_topology(name) for name in names}
        if len({(shape.vm_count, shape.chips_per_vm) for shape in shapes.values()}) > 1:
            found = ", ".join(
                f"{name}: {shape.vm_count} VMs of {shape.chips_per_vm} chips"
                for name, shape in shapes.items()
            )
            raise ValueError(
                "slices that stand in for each other must share both vm_count and "
                f"chips_per_vm ({found})"
            )
        first, *others = names
        return cls(
            device=TpuConfig(variant=first),
            replicas=slice_count * shapes[first].vm_count,
            device_alternatives=others or None,
            **{**cls.tpu_task(first), **fields},
        )

    @classmethod
    def with_gpu(cls, gpu_type: str, count: int = 1, **fields: Any) -> Self:
        """Return resources with `count` GPUs of a type in each replica."""
        return cls(device=GpuConfig(variant=gpu_type, count=count), **fields)

    @classmethod
    def with_cpu(cls, **fields: Any) -> Self:
        """Return resources without an accelerator."""
        return cls(device=CpuConfig(), **fields)
