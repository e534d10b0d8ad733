"""The aims, and whether this run met them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from benchmarks.tools.base import Measure

if TYPE_CHECKING:
    from benchmarks.campaign import Results, Series

VERSION_RATIO = 4.0
NOOP_SIZES = (1_000, 10_000, 100_000)
STEP_MILLISECONDS = {"marin-build": ("process", 2.0), "marin-build-thread": ("thread", 0.6)}


@dataclass(frozen=True, slots=True)
class Verdict:
    """One aim. `met` is None if it was not measured."""

    aim: str
    limit: str
    measured: str
    met: bool | None


def judge(results: Results, version: Series, bare: Series) -> list[Verdict]:
    """All aims; those that this run did not measure are named too."""
    verdicts = [_noop(results, size) for size in NOOP_SIZES]
    verdicts += [_step(results, tool) for tool in STEP_MILLISECONDS]
    verdicts.append(_version(version, bare))
    return verdicts


def _noop(results: Results, size: int) -> Verdict:
    ours = _seconds(results, size, "marin-build", Measure.NOOP)
    theirs = _seconds(results, size, "doit", Measure.NOOP)
    aim = f"no-op of {size:,} steps (layers) ahead of doit"
    if ours is None or theirs is None:
        return Verdict(aim, "doit's time", "not measured", None)
    measured = f"{ours:.3f} s; doit {theirs:.3f} s ({ours / theirs:.2f}x)"
    return Verdict(aim, "doit's time", measured, ours < theirs)


def _step(results: Results, tool: str) -> Verdict:
    isolation, limit = STEP_MILLISECONDS[tool]
    seconds = _seconds(results, 1_000, tool, Measure.FULL)
    aim = f"full build of 1,000 function steps (layers), {isolation} isolation"
    if seconds is None:
        return Verdict(aim, f"{limit} ms a step", "not measured", None)
    milliseconds = seconds * 1000 / results.steps["layers", 1_000]
    return Verdict(aim, f"{limit} ms a step", f"{milliseconds:.2f} ms", milliseconds <= limit)


def _version(version: Series, bare: Series) -> Verdict:
    aim, limit = "`marin-build --version` against `python -c pass`", f"{VERSION_RATIO:g}x"
    if version.seconds is None or bare.seconds is None:
        return Verdict(aim, limit, "not measured", None)
    ratio = version.seconds / bare.seconds
    return Verdict(aim, limit, f"{ratio:.2f}x", ratio <= VERSION_RATIO)


def _seconds(results: Results, size: int, tool: str, measure: Measure) -> float | None:
    series = results.series.get(("layers", size, tool, measure))
    return None if series is None else series.seconds
