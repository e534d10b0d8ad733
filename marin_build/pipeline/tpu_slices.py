"""TPU slices: the table that ships in the package, and what a row of it says.

`TpuSlice` is also how authors declare a slice that the table does not have.
"""

from __future__ import annotations

import functools
import json
import math
import re
from dataclasses import dataclass

from marin_build.errors import SpecificationError
from marin_build.text.readable import did_you_mean


@dataclass(frozen=True, slots=True)
class TpuSlice:
    """A TPU slice and the hosts (VMs) it is made of: a row of the table, or one of the user's.

    Args:
        name: `v5p-64`.
        generation: as in the table of prices.
        topology: its chips, `2x4x4`.
        hosts, chips_per_host: together all of its chips.
        gke_accelerator, machine_type: what GKE calls it; empty where it is not on GKE.

    """

    name: str
    generation: str
    topology: str
    hosts: int
    chips_per_host: int
    gke_accelerator: str = ""
    machine_type: str = ""

    def __post_init__(self) -> None:
        sides = self.topology.split("x")
        chips = math.prod(int(side) if re.fullmatch("[1-9][0-9]*", side) else 0 for side in sides)
        if self.hosts < 1 or self.hosts * self.chips_per_host != chips:
            raise SpecificationError(
                f"the slice `{self.name}` has not the chips of its topology",
                facts=[
                    ("topology", self.topology),
                    ("hosts", f"{self.hosts} of {self.chips_per_host} chips"),
                ],
            )


def find_slice(name: str, hosts: int | None = None) -> TpuSlice:
    """Return the slice of that name and, where it exists in two shapes, that many hosts.

    Without `hosts` it is the shape of the fewest: 8 chips are one host, as in Marin.

    Raises:
        SpecificationError: unknown, or not there with that many hosts.

    """
    table = slice_table()
    shapes = table.get(name.lower())
    if shapes is None:
        known = sorted({shape.generation for shapes in table.values() for shape in shapes})
        near = did_you_mean(name, table) or f"there are slices of {', '.join(known)}"
        raise SpecificationError(f"unknown TPU slice `{name}`", hint=near)
    if hosts is not None:
        shapes = tuple(shape for shape in shapes if shape.hosts == hosts)
        if not shapes:
            raise SpecificationError(
                f"no `{name}` has {hosts} hosts",
                facts=[
                    (s.name, f"{s.hosts} hosts of {s.chips_per_host} chips")
                    for s in table[name.lower()]
                ],
            )
    return min(shapes, key=lambda shape: shape.hosts)


@functools.cache
def slice_table() -> dict[str, tuple[TpuSlice, ...]]:
    """Return every slice, by name and alias; most have one shape."""
    from importlib import resources as package_files

    text = package_files.files("marin_build").joinpath("data/tpu_slices.json").read_text("utf-8")
    table: dict[str, tuple[TpuSlice, ...]] = {}
    for row in json.loads(text)["slices"]:
        shapes = tuple(
            TpuSlice(
                name=row["name"],
                generation=row["generation"],
                topology=row["topology"],
                hosts=shape["pods"],
                chips_per_host=shape["google_com_tpu_per_pod"],
                gke_accelerator=shape["gke_tpu_accelerator"],
                machine_type=shape["machine_type"],
            )
            for shape in row["gke"]
        )
        for name in (row["name"], *row["aliases"]):
            table[name.lower()] = shapes
    return table
