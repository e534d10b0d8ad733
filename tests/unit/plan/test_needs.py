"""What steps take, and what machines have, in one vocabulary."""

from __future__ import annotations

import pytest

from marin_build import ResourceConfig, StepSpec
from marin_build.errors import UsageError
from marin_build.plan import block_reasons as blocks
from marin_build.plan import reasons as why
from marin_build.plan.capacity import (
    USUAL,
    Capacity,
    Machine,
    Needs,
    hosts_of,
    needs_of,
    parse_amount,
    unmet,
)

GIB = 1 << 30


def _step(resources: ResourceConfig | None = None, **budgets: int) -> StepSpec:
    return StepSpec(name="a", fn=print, resources=resources, budgets=budgets)


@pytest.mark.parametrize(
    ("step", "needs"),
    [
        (_step(), USUAL),
        (_step(api=2), (("api", 2), ("cpu", 1000))),
        (_step(ResourceConfig()), USUAL),
        (_step(ResourceConfig(cpu=0.25)), (("cpu", 250),)),
        (_step(ResourceConfig.with_cpu(2, "1.5Gi")), (("cpu", 2000), ("ram", 3 * GIB // 2))),
        (_step(ResourceConfig.with_cpu(2), cpu=3, ram=8 * GIB), (("cpu", 3000), ("ram", 8 * GIB))),
        (_step(ResourceConfig.with_gpu("h100", 2)), (("cpu", 1000), ("gpu", 2))),
        (_step(ResourceConfig.with_tpu("v5p-8")), (("cpu", 1000), ("tpu", 4))),
        (_step(gpu=1), (("cpu", 1000), ("gpu", 1))),
    ],
)  # fmt: skip
def test_what_a_step_takes(step: StepSpec, needs: Needs) -> None:
    assert needs_of(step) == needs


@pytest.mark.parametrize(
    ("name", "text", "amount"),
    [("cpu", "1.5", 1500), ("cpu", 2, 2000), ("ram", "16Gi", 16 * GIB), ("ram", "512", 512),
     ("ram", "1.5Ki", 1536), ("gpu", "8", 8), ("gpu", 0, 0), ("api", "4", 4), ("api", 4.0, 4)],
)  # fmt: skip
def test_amounts_are_read(name: str, text: object, amount: int) -> None:
    assert parse_amount(name, text) == amount


@pytest.mark.parametrize(
    ("name", "text"),
    [("cpu", "2Gi"), ("cpu", "-1"), ("cpu", "0"), ("ram", "0Gi"), ("ram", "16GB"),
     ("gpu", "1.5"), ("api", "many"), ("api", ""),
     ("api", True), ("api", "nan"), ("a b", "1"), ("", "1"), ("api", "٣")],
)  # fmt: skip
def test_what_is_no_amount_is_refused(name: str, text: object) -> None:
    with pytest.raises(UsageError):
        parse_amount(name, text)


def test_a_machine_offers_what_it_has_and_what_is_said() -> None:
    machine = Machine(cores=4, ram=8 * GIB, gpus=("0", "1"), chips=4)
    there = Capacity(machine, {}).amounts(2)
    assert there == {"cpu": 4000, "ram": 8 * GIB, "gpu": 2, "tpu": 4}
    assert Capacity(machine, {}).amounts(9)["cpu"] == 9000, "-j is what people ask for"
    assert Capacity(machine, {"cpu": 3000, "api": 1}).amounts(9) == {**there, "cpu": 3000, "api": 1}
    assert "ram" not in Capacity(Machine(4), {}).amounts(1), "what is not known does not limit"


def test_devices_that_are_said_to_be_there_have_names() -> None:
    """Else two steps share the first GPU while the second one is idle."""
    assert Capacity(Machine(1, gpus=("2", "5")), {}).gpus == ("2", "5")
    assert Capacity(Machine(1, gpus=("2", "5")), {"gpu": 1}).gpus == ("2",)
    assert Capacity(Machine(1), {"gpu": 2}).gpus == ("0", "1")
    assert Capacity(Machine(1, gpus=("1",)), {"gpu": 3}).gpus == ("1", "0", "2")


HERE = Capacity(Machine(cores=2, ram=GIB, gpus=("0",)), {"api": 2})


@pytest.mark.parametrize(
    ("step", "reason"),
    [
        (_step(), None),
        (_step(ResourceConfig.with_cpu(64, "512Gi")), None),  # it runs alone
        (_step(api=2, other=100), None),
        (_step(api=3), blocks.OverBudget("api", 3, 2)),
        (_step(ResourceConfig.with_gpu("h100")), None),
        (_step(ResourceConfig.with_gpu("h100", 8)), blocks.DeviceMissing("gpu", 8, 1)),
        (_step(gpu=2), blocks.DeviceMissing("gpu", 2, 1)),
        (_step(ResourceConfig.with_tpu("v5p-8")), blocks.DeviceMissing("tpu", 4, 0)),
        (_step(ResourceConfig.with_tpu("v5p-64")), blocks.SeveralHosts(8)),
        (_step(ResourceConfig.with_cpu(1, replicas=3)), blocks.SeveralHosts(3)),
    ],
)  # fmt: skip
def test_what_can_never_run_here_is_told(step: StepSpec, reason: why.Reason | None) -> None:
    assert unmet(step, HERE) == reason


def test_slices_count_all_their_hosts() -> None:
    assert hosts_of(_step(ResourceConfig.with_tpu("v5p-64", 2))) == 16
    assert hosts_of(_step()) == 1
