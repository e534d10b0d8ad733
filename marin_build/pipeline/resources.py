"""What a step runs on: ResourceConfig and the devices it can ask for.

Never part of identity.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar, Self

from marin_build.errors import SpecificationError
from marin_build.pipeline.amounts import plain_amount
from marin_build.pipeline.tpu_slices import TpuSlice, find_slice


@dataclass(frozen=True, slots=True)
class CpuDevice:
    """No accelerator. Each device has `kind`, `variant` and `chip_count()`, as in fray."""

    kind: ClassVar[str] = "cpu"
    variant: ClassVar[str] = "cpu"

    def chip_count(self) -> int:
        """Return 0."""
        return 0


@dataclass(frozen=True, slots=True)
class GpuDevice:
    """`count` GPUs of one type (`h100`) on each replica."""

    type: str
    count: int = 1
    kind: ClassVar[str] = "gpu"

    @property
    def variant(self) -> str:
        """The type."""
        return self.type

    def chip_count(self) -> int:
        """Return the GPUs of one replica."""
        return self.count


@dataclass(frozen=True, slots=True)
class TpuDevice:
    """`slice_count` slices of one type (`v5p-64`)."""

    type: str
    hosts: int
    chips_per_host: int
    slice_count: int = 1
    kind: ClassVar[str] = "tpu"

    @property
    def variant(self) -> str:
        """The type."""
        return self.type

    def chip_count(self) -> int:
        """Return the chips of one host; `chips` are those of all slices."""
        return self.chips_per_host

    @property
    def chips(self) -> int:
        """Chips of all slices together."""
        return self.hosts * self.chips_per_host * self.slice_count

    @property
    def slice(self) -> TpuSlice:
        """The row of the slice table."""
        return find_slice(self.type, self.hosts)


@dataclass(frozen=True, slots=True)
class OwnTpuDevice(TpuDevice):
    """Slices that are not in the table, of a type that the author describes."""

    own: TpuSlice = field(kw_only=True)

    @property
    def slice(self) -> TpuSlice:
        """The author's description."""
        return self.own


Device = CpuDevice | GpuDevice | TpuDevice


@dataclass(frozen=True, slots=True)
class ResourceConfig:
    """What a step needs. None of it is identity.

    Args:
        cpu: cores; fractions allowed. None: an accelerator's whole host, else 1.
        ram: `4Gi`, `4g` or `4GB`, all of them 4 GiB and kept as `4Gi`. None: an accelerator's
            whole host, else 4Gi.
        disk: local scratch space, `50Gi`.
        device: CpuDevice, GpuDevice or TpuDevice.
        preemptible: may run on capacity that can be taken away.
        regions, zone: where it may run; without any it may run anywhere.
        replicas: copies for a CPU or GPU step; a TPU's hosts follow from its slice.
        image: container image, best with its digest.
        device_alternatives: other TPU types that serve as well, of the same shape.

    """

    cpu: float | None = None
    ram: str | None = None
    disk: str | None = None
    device: Device = CpuDevice()
    preemptible: bool = True
    regions: tuple[str, ...] = ()
    zone: str | None = None
    replicas: int = 1
    image: str | None = None
    device_alternatives: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        put = object.__setattr__
        for name in ("regions", "device_alternatives"):
            put(self, name, _words(name, getattr(self, name)))
        for name in ("ram", "disk"):
            if (amount := getattr(self, name)) is not None:
                put(self, name, _amount(name, amount))
        for name in ("zone", "image"):
            text = getattr(self, name)
            if text is not None and not isinstance(text, str):
                raise SpecificationError(f"`{name}` is a {type(text).__name__}, not a text")
        if self.cpu is not None and not (_is_number(self.cpu) and 0 < self.cpu < math.inf):
            raise SpecificationError(f"`cpu` must be a number above 0, not `{self.cpu!r}`")
        if type(self.replicas) is not int or self.replicas < 1:
            raise SpecificationError(
                f"`replicas` must be a whole number, at least 1, not `{self.replicas!r}`"
            )
        if not isinstance(self.device, Device):
            raise SpecificationError(
                f"`device` is a {type(self.device).__name__}, not a device",
                hint="use ResourceConfig.with_cpu, .with_gpu or .with_tpu",
            )

    @classmethod
    def with_cpu(cls, cpu: float = 1, ram: str = "4Gi", **rest: Any) -> Self:
        """Return resources without an accelerator."""
        return cls(cpu=cpu, ram=ram, **rest)

    @classmethod
    def with_gpu(cls, type: str, count: int = 1, **rest: Any) -> Self:  # noqa: A002 - the field's word
        """Return resources with `count` GPUs of `type` (`h100`) per replica."""
        if not isinstance(type, str) or not type:
            raise SpecificationError(f"a GPU type is a name like `h100`, not `{type!r}`")
        if not isinstance(count, int) or count < 1:
            raise SpecificationError(f"a step cannot have {count} GPUs")
        return cls(device=GpuDevice(type.lower(), count), **rest)

    @classmethod
    def with_tpu(
        cls,
        type: str | TpuSlice | list[str] | tuple[str, ...],  # noqa: A002 - the field's word
        slice_count: int = 1,
        hosts: int | None = None,
        **rest: Any,
    ) -> Self:
        """Return resources with TPU slices.

        Args:
            type: a slice, `v5p-64`, or several of the same shape, the preferred one first; or a
                TpuSlice that is not in the table.
            slice_count: slices that run as one gang (multislice).
            hosts: VMs of a slice, where it exists in two shapes: a `v6e-8` has one host unless 2
                are asked for.
            rest: other fields of ResourceConfig.

        Raises:
            SpecificationError: no such slice, or shapes differ.

        """
        names = list(type) if isinstance(type, list | tuple) else [type]
        if not all(isinstance(name, str | TpuSlice) for name in names):
            raise SpecificationError(f"a slice type is a name like `v5p-64`, not `{type!r}`")
        if not names or not isinstance(slice_count, int) or slice_count < 1:
            raise SpecificationError("a TPU step needs at least one slice type and one slice")
        first, *others = [
            name if isinstance(name, TpuSlice) else find_slice(name, hosts) for name in names
        ]
        for other in others:
            if (other.hosts, other.chips_per_host) != (first.hosts, first.chips_per_host):
                raise SpecificationError(
                    f"`{first.name}` and `{other.name}` cannot stand in for each other",
                    facts=[
                        (s.name, f"{s.hosts} hosts of {s.chips_per_host} chips")
                        for s in (first, other)
                    ],
                )
        shape = (first.name, first.hosts, first.chips_per_host, slice_count)
        is_own = isinstance(type, TpuSlice)
        device = OwnTpuDevice(*shape, own=first) if is_own else TpuDevice(*shape)
        return cls(device=device, device_alternatives=tuple(s.name for s in others), **rest)

    def chip_count(self) -> int:
        """Return the chips or GPUs of all hosts together; without an accelerator, 0."""
        if isinstance(self.device, TpuDevice):
            return self.device.chips
        return self.device.chip_count() * self.replicas

    def with_image(self, image: str) -> Self:
        """Return the same resources with a container image."""
        return replace(self, image=image)

    @property
    def places(self) -> tuple[str, ...]:
        """The regions it may run in; a zone `us-east5-a` is in the region `us-east5`."""
        if self.zone is not None:
            return (self.zone.rpartition("-")[0] or self.zone,)
        return self.regions

    def summary(self) -> str:
        """Return one word for a plan's line: `v5p-64`, `2x v5p-64`, `8x h100`, `4 cpu`."""
        match self.device:
            case TpuDevice(type=name, slice_count=count):
                return name if count == 1 else f"{count}x {name}"
            case GpuDevice(type=name, count=count):
                return f"{count}x {name}"
            case CpuDevice():
                return f"{self.cpu or 1:g} cpu"


def accelerators_text(resources: ResourceConfig) -> str:
    """Return what an accelerator is made of: `8 chips on 2 hosts`; empty where one word says it."""
    match resources.device:
        case TpuDevice(chips=chips, hosts=hosts, slice_count=slices):
            count = hosts * slices
            return f"{chips} chips on {count} host{'s' if count > 1 else ''}"
        case GpuDevice() if resources.replicas > 1:
            return f"on {resources.replicas} hosts"
    return ""


def _words(name: str, value: object) -> tuple[str, ...]:
    """Return a field that holds several texts as a tuple."""
    if value is None:
        return ()
    if isinstance(value, list | tuple | set | frozenset) and all(
        isinstance(word, str) for word in value
    ):
        return tuple(sorted(value) if isinstance(value, set | frozenset) else value)
    shown = f'["{value}"]' if isinstance(value, str) else "a list of texts"
    raise SpecificationError(f"`{name}` is `{value!r}`, not a list", hint=f"write {name}={shown}")


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _amount(name: str, written: object) -> str:
    """Return an amount of memory or disk in the form that engines read."""
    plain = plain_amount(written)
    if plain is None:
        raise SpecificationError(
            f"illegal amount of {name} `{written}`",
            hint=f'give a text, a number with k, m, g or t: {name}="16g"',
        )
    return plain
