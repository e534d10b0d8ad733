"""What a bucket costs is counted with the price of that bucket, or not at all."""

from __future__ import annotations

import pytest

from marin_build.plan.storage_price import cost_per_month, per_gib_month

PRICES = {"gs": 0.02, "gs://lab": 0.01, "gs://lab/old": 0.002, "gs://gift": None, "s3://eu/": 0.03}


@pytest.mark.parametrize(
    ("place", "expected"),
    [
        ("gs://other/out", 0.02),
        ("gs://lab", 0.01),
        ("gs://lab/out", 0.01),
        ("gs://lab/old", 0.002),
        ("gs://lab/older", 0.01),
        ("gs://laboratory", 0.02),
        ("gs://gift/out", None),
        ("s3://eu/out", 0.03),
        ("s3://us/out", None),
        ("/home/ada/gs/out", None),
        ("gs", None),
    ],
)
def test_the_longest_beginning_of_the_url_says_the_price(
    place: str, expected: float | None
) -> None:
    assert per_gib_month(PRICES, place) == expected


def test_a_month_costs_by_the_gib() -> None:
    assert cost_per_month(PRICES, "gs://other/out", 512 << 30) == pytest.approx(10.24)
    assert cost_per_month(PRICES, "/disk/out", 512 << 30) is None
