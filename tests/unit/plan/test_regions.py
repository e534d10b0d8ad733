"""Reads across regions: told before they are paid for, and only where something tells."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from marin_build import ResourceConfig, StepSpec
from marin_build.plan import reasons as why
from marin_build.plan.decisions import Decision, Kind, Plan
from marin_build.plan.regions import CrossRegionRead, cross_region_reads, region_of
from marin_build.plan.snapshot import Observed, Snapshot
from marin_build.protocol.record_reader import Built

if TYPE_CHECKING:
    from collections.abc import Callable

    from marin_build.pipeline.targets import Targets

KNOWN = {"gs://data": "us-east1", "gs://data/eu": "europe-west4", "/mnt/disk/": "us-east5"}


@pytest.mark.parametrize(
    ("place", "region"),
    [
        ("gs://data/x", "us-east1"),
        ("gs://data", "us-east1"),
        ("gs://data/eu/x", "europe-west4"),
        ("gs://data-2/x", None),
        ("/mnt/disk/x", "us-east5"),
        ("/somewhere/us-east1/x", None),
        ("gs://marin-us-central2/tokenized/dclm", "us-central2"),
        ("gs://marin-eu-west4/x", "europe-west4"),
        ("s3://corpora-eu-west-1/x", "eu-west-1"),
        ("s3://corpora-ap-southeast-2", "ap-southeast-2"),
        ("gs://bucket/us-central1/x", None),
        ("gs://plus-central1x/x", None),
    ],
)
def test_the_region_of_a_place(place: str, region: str | None) -> None:
    assert region_of(place, KNOWN) == region


def _plan(make: Callable[..., Targets], resources: ResourceConfig | None, kind: Kind) -> Plan:
    raw = StepSpec(name="raw", fn=print, output_path_prefix="gs://marin-eu-west4")
    near = StepSpec(name="near", fn=print, output_path_prefix="gs://marin-us-east5")
    model = StepSpec(name="model", fn=print, deps=[raw, near], resources=resources)
    targets = make(model)
    index = targets.by_id[model.target_id]
    seen = {
        i: Observed("SUCCESS", built=Built("f", "r", "ada", "2026", size=412 * 2**30))
        for i in range(len(targets))
        if i != index
    }
    decision = Decision(index, kind, why.NeverBuilt())
    return Plan(targets, (index,), (decision,), frozenset(), Snapshot(seen))


def test_a_step_that_runs_elsewhere_than_its_data_is_told(make: Callable[..., Targets]) -> None:
    plan = _plan(make, ResourceConfig.with_tpu("v5p-8", zone="us-east5-a"), Kind.RUN)
    raw = next(target.id for target in plan.targets.all if target.name == "raw")
    model = next(target.id for target in plan.targets.all if target.name == "model")
    assert cross_region_reads(plan, {}) == [
        CrossRegionRead(model, raw, ("us-east5",), "europe-west4", 412 * 2**30)
    ]


def test_nothing_is_told_of_what_does_not_run_or_may_run_anywhere(
    make: Callable[..., Targets],
) -> None:
    """Else a plan warns of data that nobody moves."""
    here = ResourceConfig.with_tpu("v5p-8", regions=["us-east5"])
    assert cross_region_reads(_plan(make, here, Kind.REUSE), {}) == []
    assert cross_region_reads(_plan(make, None, Kind.RUN), {}) == []
    assert cross_region_reads(_plan(make, ResourceConfig.with_tpu("v5p-8"), Kind.RUN), {}) == []
    both = ResourceConfig.with_tpu("v5p-8", regions=["us-east5", "europe-west4"])
    assert cross_region_reads(_plan(make, both, Kind.RUN), {}) == []
