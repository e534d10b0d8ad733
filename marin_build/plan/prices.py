"""Prices of resources by the hour, from a file of list prices that a project may overlay.

The same file has the prices of storage by the month: plan/storage_price.py.
"""

from __future__ import annotations

import functools
import json
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from marin_build.errors import UsageError
from marin_build.pipeline.resources import (
    CpuDevice,
    GpuDevice,
    OwnTpuDevice,
    ResourceConfig,
    TpuDevice,
)
from marin_build.pipeline.tpu_slices import slice_table
from marin_build.text.readable import cost_text
from marin_build.untrusted_json import parse_json
from marin_build.workspace.regular_files import read_regular

if TYPE_CHECKING:
    from collections.abc import Mapping


_HOUR = 3600.0
_GIB = {"Ki": 2.0**-20, "Mi": 2.0**-10, "Gi": 1.0, "Ti": 2.0**10}
_LEAST_RAM = "4Gi"
"""GiB that a step without an amount of ram requests, as in the emitted manifests."""

_Price = Annotated[float, Field(ge=0, allow_inf_nan=False)] | None


class Price(BaseModel):
    """US dollars per hour of one chip, GPU or core. None: unknown."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    on_demand: _Price = None
    spot: _Price = None


class Entry(Price):
    """The prices of one type: those of some regions, and one pair for all other regions.

    If that pair is unknown, the other regions have no price: none is guessed from known ones.
    `default_region` is the region of steps that name none.
    """

    note: str = ""
    aliases: list[str] = []
    default_region: str | None = None
    regions: dict[str, Price] = {}

    def per_hour(self, resources: ResourceConfig) -> float | None:
        """Return US dollars per hour of one unit, in the dearest of the allowed regions."""
        places = resources.places or (self.default_region or "",)
        pairs = [self.regions.get(place, self) for place in places]
        prices = [pair.spot if resources.preemptible else pair.on_demand for pair in pairs]
        return max((price for price in prices if price is not None), default=None)


class CpuEntry(Entry):
    """The price of a core that comes with `gib_per_cpu` GiB of memory."""

    gib_per_cpu: float = Field(default=4.0, gt=0, allow_inf_nan=False)


class _File(BaseModel):
    """A file of prices; the file of a project needs only the prices that differ."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    schema_version: Literal[1] = 1
    currency: Literal["USD"] = "USD"
    read_on: str = ""
    source: str = ""
    notes: list[str] = []
    tpu: dict[str, Entry] = {}
    gpu: dict[str, Entry] = {}
    cpu: CpuEntry | None = None
    storage: dict[str, _Price] = {}


@dataclass(frozen=True, slots=True)
class Prices:
    """Prices by TPU generation (`v5p`) and by GPU type (`h100`), and that of a core.

    `aliases` are further names of GPU types. Names are in lower case. `storage`: the beginning of a
    URL -> US dollars per GiB and month.
    """

    tpu: Mapping[str, Entry]
    gpu: Mapping[str, Entry]
    aliases: Mapping[str, str]
    cpu: CpuEntry
    storage: Mapping[str, float | None] = field(default_factory=dict)

    def overlaid(self, file: _File) -> Self:
        """Return these prices; a type that the file has, too, gets the price of the file."""
        aliases = dict(self.aliases)
        gpu = dict(self.gpu)
        for given, entry in file.gpu.items():
            name = aliases.get(given.lower(), given.lower())
            gpu[name] = entry
            aliases |= {alias.lower(): name for alias in entry.aliases}
        tpu = {**self.tpu, **{name.lower(): entry for name, entry in file.tpu.items()}}
        storage = {**self.storage, **file.storage}
        return type(self)(tpu, gpu, aliases, file.cpu or self.cpu, storage)

    def per_hour(self, resources: ResourceConfig) -> float | None:
        """Return the US dollars per hour of these resources, all replicas together.

        TPUs: chips x price. GPUs: count x replicas x price. Cores and memory are included.
        CPUs: cores x replicas x price; memory beyond `gib_per_cpu` a core counts as more cores.

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

    def range_text(self, resources: ResourceConfig) -> str:
        """Return what an hour costs, spot and on demand: `$13 to $34 an hour`; empty: unknown.

        Of several allowed regions the dearest one counts, as in `per_hour`.
        """
        kinds = (replace(resources, preemptible=spot) for spot in (True, False))
        rates = [rate for kind in kinds if (rate := self.per_hour(kind)) is not None]
        texts = dict.fromkeys(cost_text(rate) for rate in sorted(rates))
        return f"{' to '.join(texts)} an hour" if texts else ""

    def cost_of(self, resources: ResourceConfig | None, seconds: float) -> float | None:
        """Return the US dollars for `seconds` of these resources.

        Returns:
            None: the price is unknown, or there are no resources: the step runs on this machine.

        """
        rate = None if resources is None else self.per_hour(resources)
        return None if rate is None else rate * seconds / _HOUR


def _times(units: float, entry: Entry | None, resources: ResourceConfig) -> float | None:
    price = None if entry is None else entry.per_hour(resources)
    return None if price is None else units * price


def _generation(tpu: TpuDevice) -> str:
    if isinstance(tpu, OwnTpuDevice):
        return tpu.own.generation
    shapes = slice_table().get(tpu.type.lower())
    return shapes[0].generation if shapes else ""


def _gib(resources: ResourceConfig) -> float:
    amount = resources.ram or _LEAST_RAM
    return float(amount[:-2]) * _GIB[amount[-2:]]


def load_prices(overlay: str | None = None) -> Prices:
    """Return the prices that come with the package, overlaid with those of a file.

    Args:
        overlay: the path of a JSON file with prices that differ: the setting `prices`.

    Raises:
        UsageError: the file cannot be read, or does not hold prices.

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
        return _File.model_validate(parse_json(read_regular(path)))
    except ValidationError as error:
        raise _refused(path, _problem(error)) from error
    except (OSError, ValueError) as error:
        raise _refused(path, str(error)) from error


def _problem(error: ValidationError) -> str:
    """Return the first error in our own words, without those of pydantic."""
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
