"""Identity must not depend on the place: the same pipeline, declared as if it were elsewhere.

It is loaded a second time by a process of its own: under another prefix, and every ResourceConfig
that the pipeline makes names another accelerator, other cores and other regions than it was told.
"""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from typing import TYPE_CHECKING, assert_never

from marin_build.errors import SpecificationError
from marin_build.operations.list_targets import entries_of, read_listing
from marin_build.operations.options import option_words
from marin_build.pipeline.resources import (
    CpuDevice,
    GpuDevice,
    ResourceConfig,
    TpuDevice,
    find_slice,
)
from marin_build.plan.targets_diff import Kind, diff_targets
from marin_build.workspace import PREFIX_VARIABLE

if TYPE_CHECKING:
    from marin_build.operations.list_targets import Listing
    from marin_build.operations.loading import Loaded
    from marin_build.operations.options import PipelineOptions
    from marin_build.pipeline.resources import Device
    from marin_build.plan.targets_diff import TargetDifference


PREFIX = "gs://elsewhere-europe-west9/some/prefix"
REGION = "europe-west9"
_SLICES = ("v6e-256", "v5p-64")
_AMOUNT = "77Gi"
_IDENTITY = (Kind.APPEARED, Kind.VANISHED, Kind.CHANGED, Kind.CASCADE)
_SHOWN = 10


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


def check_placement(loaded: Loaded, options: PipelineOptions) -> None:
    """Load the pipeline as if it were elsewhere, and compare identities.

    Raises:
        SpecificationError: an identity is another one there, or the pipeline cannot be loaded.

    """
    there = _list_elsewhere(loaded, options)
    diff = diff_targets(entries_of(loaded.targets), there.entries)
    moved = [each for each in diff.differences if each.kind in _IDENTITY]
    if not moved:
        return
    own = [each for each in moved if each.kind is not Kind.CASCADE]
    lines = [f"{_name(each)}: {', '.join(each.reasons()) or each.kind.value}" for each in own]
    if len(lines) > _SHOWN:
        lines[_SHOWN:] = [f"and {len(lines) - _SHOWN} more"]
    count = f"{len(moved)} target{'s' if len(moved) != 1 else ''}"
    raise SpecificationError(
        f"{count} would be built again elsewhere: identity depends on the place",
        facts=[
            ("here -> there", "\n".join(lines)),
            ("there", f"prefix {PREFIX}, {REGION}, other machines"),
        ],
        consequence="nothing was run",
        hint="keep prefix, region and accelerator out of attributes, names and commands",
    )


def _name(each: TargetDifference) -> str:
    return (each.old or each.entry).id


def _list_elsewhere(loaded: Loaded, options: PipelineOptions) -> Listing:
    words = option_words(replace(options, file=loaded.pipeline.module.named_by_path, prefix=PREFIX))
    done = subprocess.run(
        [sys.executable, "-P", "-m", "marin_build", "list-targets", *words, "--elsewhere"],
        env={**os.environ, PREFIX_VARIABLE: PREFIX, "PYTHONDONTWRITEBYTECODE": "1"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise SpecificationError(
            "the pipeline cannot be loaded elsewhere",
            facts=[("reason", done.stderr.strip().removeprefix("error: "))],
            consequence="nothing was run",
        )
    return read_listing(done.stdout)
