"""Identity must not depend on the place: the same pipeline, declared as if it were elsewhere.

It is loaded a second time by a process of its own: under another prefix, and every ResourceConfig
that the pipeline makes names another accelerator, other cores and other regions than it was told.
"""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from typing import TYPE_CHECKING

from marin_build.cli.again import option_words
from marin_build.cli.listing import entries_of, read_listing
from marin_build.diff import Kind, diff_targets
from marin_build.errors import SpecificationError
from marin_build.resources import CpuDevice, GpuDevice, ResourceConfig, find_slice
from marin_build.workspace import PREFIX_VARIABLE

if TYPE_CHECKING:
    from marin_build.cli.listing import Listing
    from marin_build.cli.options import PipelineOptions
    from marin_build.cli.session import Loaded
    from marin_build.diff import TargetDifference
    from marin_build.resources import Device

PREFIX = "gs://elsewhere-europe-west9/some/prefix"
REGION = "europe-west9"
_SLICE = "v6e-256"
_GPUS = GpuDevice("b200", 7)
_CORES = 73.0
_IDENTITY = (Kind.APPEARED, Kind.VANISHED, Kind.CHANGED, Kind.CASCADE)
_SHOWN = 10


def move_resources() -> None:
    """Have every ResourceConfig of this process name other machines in another region."""
    check = ResourceConfig.__post_init__

    def move(self: ResourceConfig) -> None:
        check(self)
        put = object.__setattr__
        put(self, "device", _other(self.device))
        put(self, "device_alternatives", ())
        put(self, "regions", (REGION,))
        put(self, "zone", None)
        if self.cpu is not None:
            put(self, "cpu", _CORES)

    ResourceConfig.__post_init__ = move  # type: ignore[method-assign]


def _other(device: Device) -> Device:
    match device:
        case GpuDevice():
            return _GPUS
        case CpuDevice():
            return device
    shape = find_slice(_SLICE)
    return replace(device, type=shape.name, hosts=shape.hosts, chips_per_host=shape.chips_per_host)


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
            ("there", f"prefix {PREFIX}, {REGION}, {_SLICE}"),
        ],
        consequence="nothing was run",
        hint="keep prefix, region and accelerator out of attributes, names and commands",
    )


def _name(each: TargetDifference) -> str:
    return (each.old or each.entry).id


def _list_elsewhere(loaded: Loaded, options: PipelineOptions) -> Listing:
    words = option_words(replace(options, file=loaded.pipeline.file, prefix=PREFIX))
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
