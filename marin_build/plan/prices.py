"""What an hour of resources costs, from a file of list prices that a project may overlay."""

from __future__ import annotations

import functools
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from marin_build.errors import UsageError
from marin_build.pipeline.resources import (
    CpuDevice,
    GpuDevice,
    ResourceConfig,
    TpuDevice,
    slice_table,
)

if TYPE_CHECKING:
    from collections.abc import Mapping


_HOUR = 3600.0
_GIB = {"Ki": 2.0**-20, "Mi": 2.0**-10, "Gi": 1.0, "Ti": 2.0**10}
_LEAST_RAM = "4Gi"
"""What a step without an amount of ram asks for, as in the manifests we emit."""

_Price = Annotated[float, Field(ge=0, allow_inf_nan=False)] | None


class Price(BaseModel):
    """US dollars per hour of one chip, GPU or core. None: unknown."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    on_demand: _Price = None
    spot: _Price = None


class Entry(Price):
    """The prices of one type: of some regions, and its own pair for everywhere else.

    Where that pair is unknown, other regions have no price: it is not guessed from the known ones.
    `default_region` is the one for steps that name none.
    """

    note: str = ""
    aliases: list[str] = []
    default_region: str | None = None
    regions: dict[str, Price] = {}

    def per_hour(self, resources: ResourceConfig) -> float | None:
        """Return the price where these resources may run, the dearest if there are several."""
        places = resources.places or (self.default_region or "",)
        pairs = [self.regions.get(place, self) for place in places]
        prices = [pair.spot if resources.preemptible else pair.on_demand for pair in pairs]
        return max((price for price in prices if price is not None), default=None)


class CpuEntry(Entry):
    """The price of a core that comes with `gib_per_cpu` GiB of memory."""

    gib_per_cpu: float = Field(default=4.0, gt=0, allow_inf_nan=False)


class _File(BaseModel):
    """A file of prices; a project's own needs only what differs."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    schema_version: Literal[1] = 1
    currency: Literal["USD"] = "USD"
    read_on: str = ""
    source: str = ""
    notes: list[str] = []
    tpu: dict[str, Entry] = {}
    gpu: dict[str, Entry] = {}
    cpu: CpuEntry | None = None


@dataclass(frozen=True, slots=True)
class Prices:
    """Prices by TPU generation (`v5p`) and by GPU type (`h100`), and that of a core.

    `aliases` are further names of GPU types. Names are in lower case.
    """

    tpu: Mapping[str, Entry]
    gpu: Mapping[str, Entry]
    aliases: Mapping[str, str]
    cpu: CpuEntry

    def overlaid(self, file: _File) -> Self:
        """Return these prices, with those of a file in the place of ours, type by type."""
        aliases = dict(self.aliases)
        gpu = dict(self.gpu)
        for given, entry in file.gpu.items():
            name = aliases.get(given.lower(), given.lower())
            gpu[name] = entry
            aliases |= {alias.lower(): name for alias in entry.aliases}
        tpu = {**self.tpu, **{name.lower(): entry for name, entry in file.tpu.items()}}
        return type(self)(tpu, gpu, aliases, file.cpu or self.cpu)

    def per_hour(self, resources: ResourceConfig) -> float | None:
        """Return the US dollars that these resources cost an hour, all replicas together.

        TPUs: chips x price. GPUs: count x replicas x price. Neither counts cores and memory apart.
        CPUs: cores x replicas x price, or memory in cores' shares of it where that is more.

        Returns:
            None: the price is unknown.

        """
        match resources.device:
            case TpuDevice() as tpu:
                return _times(tpu.chips, self.tpu.get(_generation(tpu)), resources)
            case GpuDevice(type=kind, count=count):
                entry = self.gpu.get(self.aliases.get(kind.lower(), kind.lower()))
                return _times(count * resources.replicas, entry, resources)
            case CpuDevice():
                shares = max(resources.cpu or 1, _gib(resources) / self.cpu.gib_per_cpu)
                return _times(shares * resources.replicas, self.cpu, resources)

    def cost_of(self, resources: ResourceConfig | None, seconds: float) -> float | None:
        """Return the US dollars for `seconds` of these resources.

        Returns:
            None: the price is unknown, or there is none: this machine is not paid by the step.

        """
        rate = None if resources is None else self.per_hour(resources)
        return None if rate is None else rate * seconds / _HOUR


def _times(units: float, entry: Entry | None, resources: ResourceConfig) -> float | None:
    price = None if entry is None else entry.per_hour(resources)
    return None if price is None else units * price


def _generation(tpu: TpuDevice) -> str:
    shapes = slice_table().get(tpu.type.lower())
    return shapes[0].generation if shapes else ""


def _gib(resources: ResourceConfig) -> float:
    amount = resources.ram or _LEAST_RAM
    return float(amount[:-2]) * _GIB[amount[-2:]]


def load_prices(overlay: str | None = None) -> Prices:
    """Return the prices that come with the package, overlaid with those of a file.

    Args:
        overlay: the path of a JSON file with what differs: setting `prices` of the configuration.

    Raises:
        UsageError: the file cannot be read, or is no file of prices.

    """
    return shipped_prices() if overlay is None else shipped_prices().overlaid(_read(overlay))


@functools.cache
def shipped_prices() -> Prices:
    """Return the prices that come with the package."""
    from importlib import resources as package_files

    data = package_files.files("marin_build").joinpath("data/prices.json").read_bytes()
    return Prices({}, {}, {}, CpuEntry()).overlaid(_File.model_validate(json.loads(data)))


def _read(path: str) -> _File:
    try:
        with open(path, "rb") as stream:
            return _File.model_validate(json.load(stream))
    except ValidationError as error:
        raise _refused(path, _problem(error)) from error
    except (OSError, ValueError) as error:
        raise _refused(path, str(error)) from error


def _problem(error: ValidationError) -> str:
    """Return the first thing that is wrong, in our words."""
    first: Any = error.errors()[0]
    where = ".".join(str(part) for part in first["loc"])
    if first["type"] == "extra_forbidden":
        return f"unknown key `{where}`"
    return f"`{where}` cannot be {first['input']!r}" if where else "it is not a table"


def _refused(path: str, reason: str) -> UsageError:
    return UsageError(
        f"cannot use the prices `{path}`",
        facts=[("reason", reason)],
        hint='a file of prices looks like {"tpu": {"v5p": {"on_demand": 4.2, "spot": 1.68}}}',
    )
