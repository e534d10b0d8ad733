"""Resources are identity when they are versioned: fields, order and defaults are Marin's."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from marin_build.compat.fray import artifact_era_resources, resources
from marin_build.compat.fray.device_flops import (
    device_flops,
    device_flops_for_jax_device,
    jax_device_kind_to_fray_device_type,
)
from marin_build.compat.fray.tpu_topologies import get_tpu_topology

FOLDER = Path(__file__).parents[3] / "data/marin_fray"
ERAS: dict[str, Any] = {
    "executor_era": resources.ResourceConfig,
    "artifact_era": artifact_era_resources.ResourceConfig,
}
VECTORS = {era: json.loads((FOLDER / f"{era}.json").read_text("utf-8")) for era in ERAS}
CORRECTED = {"L4"}
"""The newer fray corrected its table for these; ours is the newer one in both eras."""


def made(kind: Any, name: str, args: list[Any], fields: dict[str, Any], scale: Any = None) -> Any:
    call = getattr(kind, name) if name else kind
    found = call(*args, **fields)
    if scale is None:
        return found
    return found.scale(**scale) if isinstance(scale, dict) else found.scale(*scale)


@pytest.mark.parametrize("era", ERAS)
def test_every_call_makes_the_resources_that_marin_makes(era: str) -> None:
    """Else a training whose resources are versioned gets another path, and is trained again."""
    default = VECTORS[era]["default"]
    assert list(asdict(ERAS[era]())) == VECTORS[era]["fields"]
    for call, *expected in VECTORS[era]["calls"]:
        if len(expected) == 1:
            with pytest.raises((ValueError, TypeError)) as caught:
                made(ERAS[era], *call)
            assert type(caught.value).__name__ == expected[0], call
            continue
        fields, chips, flops, environment = expected
        found = made(ERAS[era], *call)
        assert json.loads(json.dumps(asdict(found))) == {**default, **fields}, call
        assert found.chip_count() == chips, call
        assert found.device.default_env_vars() == environment, call
        if isinstance(flops, str):
            with pytest.raises(ValueError, match="Unknown device"):
                found.total_flops()
        elif found.device.variant not in CORRECTED or era == "artifact_era":
            assert found.total_flops() == flops, call


def test_every_slice_has_the_vms_and_chips_that_marin_counts() -> None:
    """Else a job asks for another number of replicas."""
    for row in VECTORS["artifact_era"]["topologies"]:
        assert list(vars(get_tpu_topology(row[0])).values()) == row
    with pytest.raises(ValueError, match=r"Unknown TPU type: v5p-65 \(did you mean"):
        get_tpu_topology("v5p-65")


def test_devices_are_as_fast_as_in_marin() -> None:
    """Else the same run reports another utilisation."""
    for device, dtype, flops in VECTORS["artifact_era"]["flops"]:
        assert device_flops(device, dtype) == flops, (device, dtype)
    for kind, name in VECTORS["artifact_era"]["jax"]:
        assert jax_device_kind_to_fray_device_type(kind) == name, kind
    assert device_flops_for_jax_device("TPU v4") == 275e12


def test_one_factor_and_factors_of_their_own_exclude_each_other() -> None:
    small = resources.ResourceConfig(ram="nothing")
    with pytest.raises(ValueError, match="not both"):
        small.scale(2, cpu=1)
    with pytest.raises(ValueError, match="`nothing` is not an amount"):
        small.scale(2)


def test_resources_can_be_changed_in_place() -> None:
    """Experiments set fields of what a helper returned."""
    mine = resources.ResourceConfig.with_cpu()
    mine.ram = "8g"
    assert mine.lowered_resources.ram == "8Gi"
    assert mine == resources.ResourceConfig(ram="8g")
