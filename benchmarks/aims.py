"""The aims, and whether this run met them."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import median
from typing import TYPE_CHECKING

from benchmarks.graph_shapes import FEW, SMALLEST
from benchmarks.live_view import STEPS
from benchmarks.tools.base import Measure

if TYPE_CHECKING:
    from benchmarks.campaign import Results, Series, StartUp
    from benchmarks.live_view import LiveView

VERSION_RATIO = 4.0
NOOP_SIZES = (1_000, 10_000, 100_000)
LARGEST = 100_000
PLAN_RATIO = 3.0
NOOP_RATIO = 2.0
PLAN_BYTES = 1 << 30
GROWTH = 1.25
EXPLAIN_RATIO = 0.5
LIVE_RATIO = 1.02
STEP_MILLISECONDS = {
    "marin-build": ("process", 2.0),
    "marin-build-worker": ("worker", 0.8),
    "marin-build-thread": ("thread", 0.6),
}
CHAIN_RATIO = 1.3
ONE_SLOT = "marin-build-thread-1"
BUILD_GROWTH = 1.05
BUILD_BYTES = 600 << 20


@dataclass(frozen=True, slots=True)
class Verdict:
    """One aim. `met` is None if it was not measured."""

    aim: str
    limit: str
    measured: str
    met: bool | None


def judge(results: Results, start: StartUp, live: LiveView) -> list[Verdict]:
    """All aims; those that this run did not measure are named too."""
    verdicts = [_noop(results, size) for size in NOOP_SIZES]
    verdicts += [_noop_and_floor(results)]
    verdicts += [_step(results, tool) for tool in STEP_MILLISECONDS]
    verdicts += [_ahead_of_doit(results), _slots(results)]
    verdicts += [_many(results, tool) for tool in STEP_MILLISECONDS]
    verdicts += [_chain(results, tool) for tool in STEP_MILLISECONDS]
    verdicts += [_build_memory(results)]
    verdicts += [_plan(results), _plan_memory(results), _growth(results, start), _explain(results)]
    verdicts += [_version(start.version, start.bare), _live_view(live)]
    return verdicts


def _noop(results: Results, size: int) -> Verdict:
    ours = _our_seconds(results, size, Measure.NOOP)
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


def _noop_and_floor(results: Results) -> Verdict:
    ours = _our_seconds(results, LARGEST, Measure.NOOP)
    bare = _seconds(results, LARGEST, "floor", Measure.PLAN)
    aim = f"no-op of {LARGEST:,} steps (layers), the pipeline loaded"
    limit = f"{NOOP_RATIO:g}x the floor's plan, which loads it, too"
    if ours is None or bare is None:
        return Verdict(aim, limit, "not measured", None)
    measured = f"{ours:.2f} s; floor {bare:.2f} s ({ours / bare:.2f}x)"
    return Verdict(aim, limit, measured, ours / bare <= NOOP_RATIO)


def _ahead_of_doit(results: Results) -> Verdict:
    ours, theirs = (
        _seconds(results, 1_000, tool, Measure.FULL) for tool in ("marin-build-thread", "doit")
    )
    aim = "full build of 1,000 function steps (layers) in threads ahead of doit"
    if ours is None or theirs is None:
        return Verdict(aim, "doit's time", "not measured", None)
    measured = f"{ours:.3f} s; doit {theirs:.3f} s ({ours / theirs:.2f}x)"
    return Verdict(aim, "doit's time", measured, ours < theirs)


def _slots(results: Results) -> Verdict:
    two, one = (
        _seconds(results, 1_000, tool, Measure.FULL) for tool in ("marin-build-thread", ONE_SLOT)
    )
    aim = "full build of 1,000 function steps (layers) in threads: two slots"
    if two is None or one is None:
        return Verdict(aim, "the time of one slot", "not measured", None)
    measured = f"{two:.3f} s; one {one:.3f} s ({two / one:.2f}x)"
    return Verdict(aim, "the time of one slot", measured, two < one)


def _many(results: Results, tool: str) -> Verdict:
    few, many = (_seconds(results, size, tool, Measure.FULL) for size in (1_000, 10_000))
    aim = f"a step of a full build of 10,000 steps (layers), {STEP_MILLISECONDS[tool][0]}"
    limit = f"{BUILD_GROWTH:g}x a step of 1,000"
    if few is None or many is None:
        return Verdict(aim, limit, "not measured", None)
    one_of_few = few * 1000 / results.steps["layers", 1_000]
    one_of_many = many * 1000 / results.steps["layers", 10_000]
    ratio = one_of_many / one_of_few
    measured = f"{one_of_many:.2f} ms; {one_of_few:.2f} ms ({ratio:.2f}x)"
    return Verdict(aim, limit, measured, ratio <= BUILD_GROWTH)


def _chain(results: Results, tool: str) -> Verdict:
    chain = results.series.get(("chain", 1_000, tool, Measure.FULL))
    layers = _seconds(results, 1_000, tool, Measure.FULL)
    aim = f"a step of a full build of a chain of 1,000 steps, {STEP_MILLISECONDS[tool][0]}"
    limit = f"{CHAIN_RATIO:g}x a step of layers"
    if chain is None or chain.seconds is None or layers is None:
        return Verdict(aim, limit, "not measured", None)
    of_chain = chain.seconds * 1000 / results.steps["chain", 1_000]
    of_layers = layers * 1000 / results.steps["layers", 1_000]
    ratio = of_chain / of_layers
    measured = f"{of_chain:.2f} ms; {of_layers:.2f} ms ({ratio:.2f}x)"
    return Verdict(aim, limit, measured, ratio <= CHAIN_RATIO)


def _build_memory(results: Results) -> Verdict:
    aim = f"peak memory of a full build of {LARGEST:,} steps (layers)"
    found = [
        series.peak_bytes
        for tool in STEP_MILLISECONDS
        if (series := results.series.get(("layers", LARGEST, tool, Measure.FULL))) is not None
        and series.peak_bytes is not None
    ]
    limit = f"{BUILD_BYTES >> 20} MiB"
    if not found:
        return Verdict(aim, limit, "not measured", None)
    return Verdict(aim, limit, f"{max(found) / (1 << 20):.0f} MiB", max(found) <= BUILD_BYTES)


def _plan(results: Results) -> Verdict:
    ours = _our_seconds(results, LARGEST, Measure.PLAN)
    bare = _seconds(results, LARGEST, "floor", Measure.PLAN)
    aim, limit = f"plan of {LARGEST:,} steps (layers), nothing built", f"{PLAN_RATIO:g}x the floor"
    if ours is None or bare is None:
        return Verdict(aim, limit, "not measured", None)
    ratio = ours / bare
    measured = f"{ours:.2f} s; floor {bare:.2f} s ({ratio:.2f}x)"
    return Verdict(aim, limit, measured, ratio <= PLAN_RATIO)


def _plan_memory(results: Results) -> Verdict:
    ours = _ours(results, LARGEST, Measure.PLAN)
    aim, limit = f"peak memory of that plan of {LARGEST:,} steps", "1 GiB"
    if ours is None or ours.peak_bytes is None:
        return Verdict(aim, limit, "not measured", None)
    measured = f"{ours.peak_bytes / (1 << 20):.0f} MiB"
    return Verdict(aim, limit, measured, ours.peak_bytes <= PLAN_BYTES)


def _growth(results: Results, start: StartUp) -> Verdict:
    """Compare the times of a step; what the smallest plan takes is start-up."""
    few, none = start.few.seconds, start.plan.seconds
    many = _our_seconds(results, LARGEST, Measure.PLAN)
    aim = f"a step of a plan of {LARGEST:,} (layers), after start-up"
    limit = f"{GROWTH:g}x a step of {FEW:,}"
    if few is None or many is None or none is None:
        return Verdict(aim, limit, "not measured", None)
    one_of_few = (few - none) / (FEW - SMALLEST)
    one_of_many = (many - none) / (LARGEST - SMALLEST)
    ratio = one_of_many / one_of_few
    measured = f"{one_of_many * 1e6:.1f} us; {one_of_few * 1e6:.1f} us ({ratio:.2f}x)"
    return Verdict(aim, limit, measured, ratio <= GROWTH)


def _explain(results: Results) -> Verdict:
    plan = _our_seconds(results, LARGEST, Measure.PLAN)
    explain = _our_seconds(results, LARGEST, Measure.EXPLAIN)
    aim = f"explain of a step that needs a tenth of {LARGEST:,} (layers)"
    limit = f"{EXPLAIN_RATIO:g}x the plan"
    if plan is None or explain is None:
        return Verdict(aim, limit, "not measured", None)
    ratio = explain / plan
    return Verdict(aim, limit, f"{explain:.2f} s ({ratio:.2f}x)", ratio <= EXPLAIN_RATIO)


def _version(version: Series, bare: Series) -> Verdict:
    aim, limit = "`marin-build --version` against `python -c pass`", f"{VERSION_RATIO:g}x"
    if version.seconds is None or bare.seconds is None:
        return Verdict(aim, limit, "not measured", None)
    ratio = version.seconds / bare.seconds
    return Verdict(aim, limit, f"{ratio:.2f}x", ratio <= VERSION_RATIO)


def _live_view(live: LiveView) -> Verdict:
    aim = f"build of {STEPS:,} quick steps on a terminal, with the live view"
    limit = f"{LIVE_RATIO:g}x with `--quiet`"
    if live.ratio is None:
        return Verdict(aim, limit, "not measured", None)
    seconds = f"{median(live.live):.2f} s; {median(live.quiet):.2f} s"
    return Verdict(aim, limit, f"{seconds} ({live.ratio:.3f}x)", live.ratio <= LIVE_RATIO)


def _ours(results: Results, size: int, measure: Measure) -> Series | None:
    """Return the runs of a command that is the same in both kinds of isolation."""
    found = [results.series.get(("layers", size, tool, measure)) for tool in STEP_MILLISECONDS]
    return next((series for series in found if series is not None), None)


def _our_seconds(results: Results, size: int, measure: Measure) -> float | None:
    ours = _ours(results, size, measure)
    return None if ours is None else ours.seconds


def _seconds(results: Results, size: int, tool: str, measure: Measure) -> float | None:
    series = results.series.get(("layers", size, tool, measure))
    return None if series is None else series.seconds
