"""A wrong machine is paid for by the hour: shapes are checked when a step is declared."""

from __future__ import annotations

import math

import pytest

from marin_build.errors import SpecificationError
from marin_build.pipeline.resources import (
    CpuDevice,
    GpuDevice,
    ResourceConfig,
    TpuDevice,
    accelerators_text,
)
from marin_build.pipeline.tpu_slices import TpuSlice, find_slice, slice_table


@pytest.mark.parametrize(
    ("resources", "expected"),
    [
        (ResourceConfig.with_tpu("v5p-16"), "8 chips on 2 hosts"),
        (ResourceConfig.with_tpu("v5p-16", slice_count=2), "16 chips on 4 hosts"),
        (ResourceConfig.with_tpu("v6e-8", hosts=1), "8 chips on 1 host"),
        (ResourceConfig.with_gpu("h100", 8, replicas=2), "on 2 hosts"),
        (ResourceConfig.with_gpu("h100", 8), ""),
        (ResourceConfig.with_cpu(4), ""),
    ],
)
def test_a_plan_says_what_an_accelerator_is_made_of(
    resources: ResourceConfig, expected: str
) -> None:
    """Else a reviewer must know that a v5p-16 has 8 chips, and a v6e-16 has 16."""
    assert accelerators_text(resources) == expected


def test_the_hosts_of_every_slice_hold_all_chips_of_its_topology() -> None:
    for shapes in slice_table().values():
        for shape in shapes:
            chips = math.prod(map(int, shape.topology.split("x")))
            assert shape.hosts * shape.chips_per_host == chips, shape


def test_a_slice_knows_its_hosts_and_chips() -> None:
    device = ResourceConfig.with_tpu("v5p-64", slice_count=2).device
    assert isinstance(device, TpuDevice)
    assert (device.hosts, device.chips_per_host, device.chips) == (8, 4, 64)
    assert device.slice.gke_accelerator == "tpu-v5p-slice"


@pytest.mark.parametrize("name", ["v6e-8", "v5litepod-8", "v5e-8"])
def test_eight_chips_are_one_host_unless_two_are_asked_for(name: str) -> None:
    """Else an experiment that names only its slice is refused, or runs on half the host."""
    device = ResourceConfig.with_tpu(name).device
    assert isinstance(device, TpuDevice)
    assert (device.hosts, device.chips_per_host) == (1, 8)
    assert find_slice(name, 2).chips_per_host == 4


@pytest.mark.parametrize(
    ("written", "kept"),
    [
        ("16g", "16Gi"),
        ("16G", "16Gi"),
        ("16GB", "16Gi"),
        ("16 GiB", "16Gi"),
        ("512m", "512Mi"),
        ("1.5t", "1.5Ti"),
        ("64Ki", "64Ki"),
        ("4096", "4Ki"),
        ("4097B", "5Ki"),
    ],
)
def test_amounts_are_kept_in_the_form_that_engines_read(written: str, kept: str) -> None:
    """Else a manifest asks for `16g`, which no cluster knows, or for 7% less than was meant."""
    resources = ResourceConfig(ram=written, disk=written)
    assert (resources.ram, resources.disk) == (kept, kept)


def test_a_slice_that_is_not_in_the_table_can_be_declared() -> None:
    """Else nobody can use a new TPU before we have heard of it."""
    mine = TpuSlice("v9-16", "v9", "2x2x2", 2, 4, "tpu9", "tpu9-standard-4t")
    resources = ResourceConfig.with_tpu(mine, slice_count=2)
    assert isinstance(resources.device, TpuDevice)
    assert (resources.device.slice, resources.device.chips) == (mine, 16)
    assert resources.summary() == "2x v9-16"


@pytest.mark.parametrize(
    ("topology", "hosts", "chips"),
    [("2x2x2", 4, 4), ("2x2", 1, 8), ("2x", 1, 2), ("axb", 0, 0), ("", 1, 1), ("-2x-2", 1, 4)],
)
def test_a_slice_has_the_chips_of_its_topology(topology: str, hosts: int, chips: int) -> None:
    """Else its pods wait for ever."""
    with pytest.raises(SpecificationError, match="has not the chips of its topology"):
        TpuSlice("mine", "v9", topology, hosts, chips)


def test_slices_that_stand_in_for_each_other_have_one_shape() -> None:
    ResourceConfig.with_tpu(["v4-8", "V5P-8"])
    with pytest.raises(SpecificationError, match="cannot stand in"):
        ResourceConfig.with_tpu(["v4-8", "v4-64"])


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        (lambda: ResourceConfig.with_tpu("v5p-65"), "unknown TPU slice"),
        (lambda: ResourceConfig.with_tpu("v4-8", hosts=3), "has 3 hosts"),
        (lambda: ResourceConfig.with_tpu([]), "at least one"),
        (lambda: ResourceConfig.with_tpu("v4-8", slice_count=0), "at least one"),
        (lambda: ResourceConfig.with_gpu("h100", 0), "0 GPUs"),
        (lambda: ResourceConfig(ram="16Gx"), "amount of ram `16Gx`"),
        (lambda: ResourceConfig(ram="0Gi"), "amount of ram"),
        (lambda: ResourceConfig(ram="Gi"), "amount of ram"),
        (lambda: ResourceConfig(ram="16 bits"), "amount of ram"),
        (lambda: ResourceConfig(ram="-1g"), "amount of ram"),
        (lambda: ResourceConfig(ram="²Gi"), "amount of ram"),
        (lambda: ResourceConfig(disk="1.2.3Gi"), "amount of disk"),
        (lambda: ResourceConfig(cpu=0), "above 0"),
        (lambda: ResourceConfig(replicas=0), "at least 1"),
        (lambda: ResourceConfig(replicas=1.5), "at least 1, not `1.5`"),  # type: ignore[arg-type]
        (lambda: ResourceConfig(ram=16), "amount of ram `16`"),  # type: ignore[arg-type]
        (lambda: ResourceConfig(regions="us"), "`regions` is `'us'`, not a list"),  # type: ignore[arg-type]
        (lambda: ResourceConfig(device_alternatives="v4-8"), "`device_alternatives`"),  # type: ignore[arg-type]
        (lambda: ResourceConfig(cpu="4"), "`cpu` must be a number"),  # type: ignore[arg-type]
        (lambda: ResourceConfig(device="h100"), "`device` is a str"),  # type: ignore[arg-type]
        (lambda: ResourceConfig(zone=1), "`zone` is a int"),  # type: ignore[arg-type]
        (lambda: ResourceConfig.with_gpu(8), "a name like `h100`"),  # type: ignore[arg-type]
        (lambda: ResourceConfig.with_tpu(8), "a name like `v5p-64`"),  # type: ignore[arg-type]
    ],
)
def test_what_no_machine_has_is_refused(wrong: object, says: str) -> None:
    assert callable(wrong)
    with pytest.raises(SpecificationError, match=says):
        wrong()


@pytest.mark.parametrize(
    ("resources", "shown"),
    [
        (ResourceConfig(), "1 cpu"),
        (ResourceConfig.with_cpu(0.5, "1.5Gi"), "0.5 cpu"),
        (ResourceConfig.with_gpu("H100", 8), "8x h100"),
        (ResourceConfig.with_tpu("v5p-64"), "v5p-64"),
        (ResourceConfig.with_tpu("v5p-64", 2), "2x v5p-64"),
    ],
)
def test_a_plan_names_the_machine_in_a_word(resources: ResourceConfig, shown: str) -> None:
    assert resources.summary() == shown


def test_resources_are_values() -> None:
    first = ResourceConfig.with_gpu("h100", regions=["a", "b"])
    assert first == ResourceConfig.with_gpu("h100", regions=("a", "b"))
    assert hash(first.with_image("x")) == hash(first.with_image("x"))
    assert (first.device, ResourceConfig().device) == (GpuDevice("h100"), CpuDevice())


def test_a_word_nobody_knows_is_told_which_ones_there_are() -> None:
    for name, hint in (("v5p-65", "`v5p-64`"), ("zzz", "there are slices of")):
        with pytest.raises(SpecificationError) as caught:
            ResourceConfig.with_tpu(name)
        assert hint in str(caught.value.hint)


def test_one_text_instead_of_a_list_says_what_to_write() -> None:
    with pytest.raises(SpecificationError) as caught:
        ResourceConfig(regions="us-east1")  # type: ignore[arg-type]
    assert caught.value.hint == 'write regions=["us-east1"]'


@pytest.mark.parametrize(
    ("resources", "kind", "variant", "of_a_host", "of_all"),
    [
        (ResourceConfig(), "cpu", "cpu", 0, 0),
        (ResourceConfig.with_gpu("H100", 8, replicas=2), "gpu", "h100", 8, 16),
        (ResourceConfig.with_tpu("v5p-16", slice_count=2), "tpu", "v5p-16", 4, 16),
    ],
)
def test_a_device_answers_to_the_names_of_fray(
    resources: ResourceConfig, kind: str, variant: str, of_a_host: int, of_all: int
) -> None:
    """Else code that Marin's jobs shared breaks where it asks for `device.variant`."""
    device = resources.device
    assert (device.kind, device.variant, device.chip_count()) == (kind, variant, of_a_host)
    assert resources.chip_count() == of_all
    assert "kind" not in repr(device)
