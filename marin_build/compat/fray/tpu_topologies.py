"""TPU slices as fray counts them: chips, VMs, and chips of each VM."""

from __future__ import annotations

import functools
from dataclasses import dataclass

from marin_build.compat.fray.device_table import device_table
from marin_build.text.readable import did_you_mean


@dataclass(frozen=True)
class TpuTopologyInfo:
    """A slice: its chips, its physical hosts, its VMs, and the chips of each VM."""

    name: str
    chip_count: int
    host_count: int
    vm_count: int
    chips_per_vm: int


def get_tpu_topology(tpu_type: str) -> TpuTopologyInfo:
    """Return what a slice is made of.

    Args:
        tpu_type: `v5p-64`, `v5litepod-16`.

    Raises:
        ValueError: fray knows no such slice.

    """
    known = _by_name()
    try:
        return known[tpu_type]
    except KeyError:
        near = did_you_mean(tpu_type, known)
        hint = f" ({near})" if near else ""
        raise ValueError(f"Unknown TPU type: {tpu_type}{hint}") from None


def tpu_family(tpu_type: str) -> str:
    """Return the generation of a slice: `v4`, `v5e`, `v5p` or `v6e`.

    Raises:
        ValueError: it is of none of them.

    """
    family = {"v5litepod": "v5e"}.get(first := tpu_type.partition("-")[0], first)
    if "-" not in tpu_type or family not in device_table()["tpu_host_cpu_and_ram_gb"]:
        raise ValueError(f"Cannot determine TPU family for type: {tpu_type}")
    return family


@functools.cache
def _by_name() -> dict[str, TpuTopologyInfo]:
    return {row[0]: TpuTopologyInfo(*row) for row in device_table()["topologies"]}
