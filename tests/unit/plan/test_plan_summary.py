"""The line that sums a plan up."""

from __future__ import annotations

from marin_build.plan.plan_summary import summary_line


def test_large_numbers_can_be_read() -> None:
    """Else a person counts digits: are 100001 targets to be built, or 10001?"""
    counts = {"run": 100_001, "reuse": 20_000, "pruned": 3, "wait": 1_000}
    line = summary_line("p-81c2d3e4", counts, {"build": 100_000, "rebuild": 1})
    assert line == (
        "plan p-81c2d3e4: 100,001 to build (100,000 build, 1 rebuild), "
        "1,000 built by another run, 20,003 reused"
    )
