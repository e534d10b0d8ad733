"""A price that is not known is not made up, and a project's own prices win over ours."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from marin_build.errors import UsageError
from marin_build.pipeline.resources import ResourceConfig, TpuDevice
from marin_build.pipeline.tpu_slices import slice_table
from marin_build.plan.prices import Prices, load_prices, shipped_prices

HOUR = 3600.0
ON_DEMAND: dict[str, Any] = {"preemptible": False}


def _overlay(folder: Path, document: Any) -> Prices:
    file = folder / "prices.json"
    file.write_text(document if isinstance(document, str) else json.dumps(document))
    return load_prices(str(file))


@pytest.mark.parametrize(
    ("resources", "expected"),
    [
        (ResourceConfig.with_tpu("v5p-64", **ON_DEMAND), 32 * 4.2),
        (ResourceConfig.with_tpu("v5p-64"), 32 * 1.68),
        (
            ResourceConfig.with_tpu("v5p-64", slice_count=2, regions=["us-central1"]),
            2 * 32 * 0.92856,
        ),
        (ResourceConfig.with_tpu("v6e-256", **ON_DEMAND), 256 * 2.7),
        (ResourceConfig.with_tpu("v5litepod-16", zone="europe-west4-b"), 16 * 0.40453),
        (ResourceConfig.with_tpu("v5p-8", regions=["us-east1", "us-east5"]), 4 * 1.68),
        (ResourceConfig.with_tpu("v5p-8", regions=["mars-north1", "us-east1"]), 4 * 0.92856),
        (ResourceConfig.with_tpu("v5p-8", regions=["mars-north1"]), None),
        (ResourceConfig.with_gpu("h100", 8, replicas=2, **ON_DEMAND), 16 * 10.9791),
        (ResourceConfig.with_gpu("NVIDIA-H100-80GB", 8), 8 * 2.3862),
        (ResourceConfig.with_gpu("h100", regions=["us-west1"]), None),
        (ResourceConfig.with_gpu("gtx"), None),
        (ResourceConfig.with_cpu(4, ram="16Gi", **ON_DEMAND), 0.16898),
        (ResourceConfig.with_cpu(4, ram="32Gi", **ON_DEMAND), 2 * 0.16898),
        (ResourceConfig.with_cpu(0.5, ram="512Mi", replicas=8), 0.03057),
        (ResourceConfig(), 0.03057 / 4),
        (ResourceConfig(device=TpuDevice("v99-8", 1, 8)), None),
        (None, None),
    ],
)
def test_an_hour_costs(resources: ResourceConfig | None, expected: float | None) -> None:
    found = load_prices().cost_of(resources, HOUR)
    assert found == (None if expected is None else pytest.approx(expected))


@pytest.mark.parametrize(
    ("resources", "expected"),
    [
        (ResourceConfig.with_tpu("v5p-16"), "$13 to $34 an hour"),
        (ResourceConfig.with_tpu("v5p-8", regions=["mars-north1"]), ""),
        (ResourceConfig.with_gpu("h100", 8, **ON_DEMAND), "$19 to $88 an hour"),
    ],
)
def test_an_hour_of_an_accelerator_costs_between_spot_and_on_demand(
    resources: ResourceConfig, expected: str
) -> None:
    """Else a reviewer of a plan learns the price of a slice from the bill."""
    assert load_prices().range_text(resources) == expected


def test_a_cost_grows_with_time() -> None:
    resources = ResourceConfig.with_tpu("v5p-8")
    assert load_prices().cost_of(resources, 0.0) == 0.0
    assert load_prices().cost_of(resources, 90.0) == pytest.approx(4 * 1.68 / 40)


def test_the_only_generations_without_a_price_are_those_that_the_file_names() -> None:
    generations = {shape.generation for shapes in slice_table().values() for shape in shapes}
    assert generations - set(shipped_prices().tpu) == {"v7", "v7x"}


def test_what_ships_is_sound() -> None:
    prices = shipped_prices()
    for entry in [*prices.tpu.values(), *prices.gpu.values(), prices.cpu]:
        assert entry.default_region in entry.regions
        for pair in entry.regions.values():
            assert pair.on_demand is not None
            assert pair.spot is not None
            assert 0 < pair.spot < pair.on_demand


def test_the_prices_of_a_project_win_type_by_type(tmp_path: Path) -> None:
    prices = _overlay(
        tmp_path,
        {
            "tpu": {"V5P": {"on_demand": 2, "spot": 1.0}, "v7x": {"spot": 5.0}},
            "gpu": {
                "nvidia-h100-80gb": {"spot": 3.0},
                "GTX": {"spot": 0.5, "aliases": ["GeForce"]},
            },
            "cpu": {"on_demand": 0.1, "spot": 0.02, "gib_per_cpu": 8.0},
        },
    )

    def an_hour(resources: ResourceConfig) -> float | None:
        return prices.cost_of(resources, HOUR)

    assert an_hour(ResourceConfig.with_tpu("v5p-8", regions=["anywhere"])) == 4.0
    assert an_hour(ResourceConfig.with_tpu("v5p-8", preemptible=False)) == 8.0
    assert an_hour(ResourceConfig.with_tpu("v4-8")) == pytest.approx(4 * 0.9215)
    assert an_hour(ResourceConfig(device=TpuDevice("v7x-8", 1, 4))) == 20.0
    assert an_hour(ResourceConfig.with_gpu("h100")) == 3.0
    assert an_hour(ResourceConfig.with_gpu("h100", preemptible=False)) is None
    assert an_hour(ResourceConfig.with_gpu("geforce", 2)) == 1.0
    assert an_hour(ResourceConfig.with_cpu(1, ram="16Gi")) == pytest.approx(0.04)
    assert shipped_prices().cost_of(ResourceConfig.with_gpu("h100"), HOUR) != 3.0


def test_its_own_pair_is_for_the_regions_that_are_not_listed(tmp_path: Path) -> None:
    regions = {"us-east5": {"spot": 1.0}}
    prices = _overlay(tmp_path, {"tpu": {"v5p": {"spot": 3.0, "regions": regions}}})
    assert prices.cost_of(ResourceConfig.with_tpu("v5p-8", regions=["us-east5"]), HOUR) == 4.0
    assert prices.cost_of(ResourceConfig.with_tpu("v5p-8", regions=["us-east1"]), HOUR) == 12.0
    assert prices.cost_of(ResourceConfig.with_tpu("v5p-8"), HOUR) == 12.0


def test_the_example_of_the_documentation_is_one(tmp_path: Path) -> None:
    page = Path(__file__).parents[3].joinpath("docs/concepts/plan.md").read_text("utf-8")
    (example,) = re.findall(r"```json\n(\{\n  \"tpu\".*?)```", page, re.DOTALL)
    prices = _overlay(tmp_path, example)
    assert prices.cost_of(ResourceConfig.with_tpu("v5p-8"), HOUR) == pytest.approx(4.4)
    assert prices.cost_of(ResourceConfig.with_tpu("v6e-8", hosts=1), HOUR) == pytest.approx(4.8)
    assert prices.storage == {"gs": 0.02, "gs://lab-archive": 0.0025, "s3": 0.023}


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("{", "Expecting property name"),
        ("[]", "it is not a table"),
        ('{"tpus": {}}', "unknown key `tpus`"),
        ('{"tpu": {"v5p": {"spt": 1}}}', "unknown key `tpu.v5p.spt`"),
        ('{"tpu": {"v5p": {"spot": "1"}}}', "`tpu.v5p.spot` cannot be '1'"),
        ('{"tpu": {"v5p": {"spot": -1}}}', "`tpu.v5p.spot` cannot be -1"),
        ('{"tpu": {"v5p": {"spot": NaN}}}', "`tpu.v5p.spot` cannot be nan"),
        ('{"tpu": {"v5p": {"spot": true}}}', "`tpu.v5p.spot` cannot be True"),
        ('{"cpu": {"gib_per_cpu": 0}}', "`cpu.gib_per_cpu` cannot be 0"),
        ('{"storage": {"gs": -0.02}}', "`storage.gs` cannot be -0.02"),
        ('{"currency": "EUR"}', "`currency` cannot be 'EUR'"),
        ('{"schema_version": 2}', "`schema_version` cannot be 2"),
    ],
)
def test_a_file_that_is_none_is_refused(tmp_path: Path, text: str, says: str) -> None:
    with pytest.raises(UsageError, match="cannot use the prices") as caught:
        _overlay(tmp_path, text)
    assert re.search(re.escape(says), caught.value.render()), caught.value.render()
    assert "hint: " in caught.value.render()


def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"cannot use the prices `.*nowhere\.json`"):
        load_prices(str(tmp_path / "nowhere.json"))
