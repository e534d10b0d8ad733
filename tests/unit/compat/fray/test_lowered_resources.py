"""What Marin's jobs ask for is what engines are asked for."""

from __future__ import annotations

from typing import Any

import pytest

from marin_build.compat.fray import artifact_era_resources
from marin_build.compat.fray.device_table import device_table
from marin_build.compat.fray.devices import GpuConfig, TpuConfig
from marin_build.compat.fray.resources import ResourceConfig
from marin_build.errors import SpecificationError
from marin_build.pipeline.resources import CpuDevice, GpuDevice, TpuDevice
from marin_build.pipeline.resources import ResourceConfig as Native

BOTH: list[Any] = [ResourceConfig, artifact_era_resources.ResourceConfig]


@pytest.mark.parametrize("kind", BOTH)
def test_every_field_reaches_the_step(kind: Any) -> None:
    """Else a job lands in a region that its data is not in, or on another image."""
    fray = kind(
        cpu=0.5, ram="16g", disk="1.5t", preemptible=False, regions=["us-east5", "us-west4"],
        zone="us-east5-a", replicas=3, image="ghcr.io/x/y:1",
    )  # fmt: skip
    assert fray.lowered_resources == Native(
        0.5, "16Gi", "1.5Ti", CpuDevice(), False, ("us-east5", "us-west4"), "us-east5-a", 3,
        "ghcr.io/x/y:1",
    )  # fmt: skip


@pytest.mark.parametrize("slices", [1, 2, 5])
@pytest.mark.parametrize("name", [row[0] for row in device_table()["topologies"]])
def test_every_slice_is_the_same_for_engines(name: str, slices: int) -> None:
    """Else a training gets half of the chips that it was written for."""
    for kind in BOTH:
        fray = kind.with_tpu(name, slice_count=slices)
        native = fray.lowered_resources
        assert isinstance(native.device, TpuDevice)
        assert native.device.chips == fray.chip_count()
        assert native.device.hosts * slices == fray.replicas
        assert native.device == Native.with_tpu(name, slices).device
        assert (native.replicas, native.device.slice.name) == (1, name)


def test_alternatives_and_gpus_are_kept() -> None:
    """Else a job waits for the one slice that is not to be had."""
    assert ResourceConfig.with_tpu(["v4-8", "v5p-8"]).lowered_resources == Native.with_tpu(
        ["v4-8", "v5p-8"], cpu=32, ram="128g", disk="50g"
    )
    gpus = ResourceConfig.with_gpu("H100", 8, replicas=2).lowered_resources
    assert (gpus.device, gpus.replicas) == (GpuDevice("h100", 8), 2)


@pytest.mark.parametrize(
    ("given", "expected"), [(None, ()), ([], ()), (["*"], ()), (["a"], ("a",))]
)
def test_a_region_is_asked_for_only_if_one_is_named(given: Any, expected: Any) -> None:
    """Else a step that may run anywhere waits for a region called `*`."""
    assert ResourceConfig(regions=given).lowered_resources.regions == expected


def test_a_slice_without_replicas_is_one_slice() -> None:
    """An author who sets only the device means the whole slice."""
    device = ResourceConfig(device=TpuConfig("v5p-64")).lowered_resources.device
    assert isinstance(device, TpuDevice)
    assert (device.hosts, device.slice_count) == (8, 1)


def test_what_is_asked_for_in_no_amount_is_left_to_the_engine() -> None:
    native = ResourceConfig(cpu=0, ram="0", disk="0g").lowered_resources
    assert (native.cpu, native.ram, native.disk) == (None, None, None)


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        (ResourceConfig(device=TpuConfig("v5p-64"), replicas=3), "3 replicas are not whole slices"),
        (ResourceConfig(device=TpuConfig("v5p-64"), replicas=0), "0 replicas are not whole slices"),
        (ResourceConfig(device=TpuConfig("v5p-65")), "Unknown TPU type: v5p-65"),
        (ResourceConfig(device=GpuConfig("H100", count=0)), "0 GPUs"),
        (ResourceConfig(device="h100"), "`device` is a str"),  # type: ignore[arg-type]
        (ResourceConfig(ram="lots"), "amount of ram `lots`"),
        (ResourceConfig(ram=16), "amount of ram `16`"),  # type: ignore[arg-type]
        (ResourceConfig(regions="us-east5"), "`regions` is `'us-east5'`"),
        (ResourceConfig(device_alternatives="v4-8"), "`device_alternatives`"),
        (ResourceConfig(replicas=0), "at least 1"),
    ],
)
def test_what_no_engine_can_give_is_refused_when_it_is_lowered(
    wrong: ResourceConfig, says: str
) -> None:
    """Fray takes everything: what is wrong must be said before anything is run."""
    with pytest.raises(SpecificationError, match=says):
        _ = wrong.lowered_resources
