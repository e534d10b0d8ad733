"""All measurements of one run: every tool on every graph, taking turns, with outputs checked."""

from __future__ import annotations

import statistics
import sys
import time
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from benchmarks import graph_shapes
from benchmarks.measure import Command, Outcome, run
from benchmarks.tools.base import Case, Measure, Tool

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from benchmarks.scratch import Scratch

BUDGET_SECONDS = 20.0
"""A measure of one tool is repeated until it has run this long in sum, or as often as asked for."""
ONE_BUILD_FROM = 10_000
"""From this size on there is one full build."""
BUILD_SECONDS_A_STEP = 0.010
"""A full build may take this long for each step, where that is more than the time-out."""


@dataclass(slots=True)
class Series:
    """The runs of one measure of one tool on one graph, or why there are none."""

    outcomes: list[Outcome] = field(default_factory=list)
    problem: str | None = None

    @property
    def seconds(self) -> float | None:
        """Return the median of the wall-clock times, or None if there is a problem."""
        if self.problem is not None or not self.outcomes:
            return None
        return statistics.median(outcome.seconds for outcome in self.outcomes)

    @property
    def peak_bytes(self) -> int | None:
        """Return the largest peak memory of all runs, or None if there is a problem."""
        if self.problem is not None or not self.outcomes:
            return None
        return max(outcome.peak_bytes for outcome in self.outcomes)


Key = tuple[str, int, str, Measure]
"""Shape, size, tool, measure."""


@dataclass(frozen=True, slots=True)
class Graph:
    """A graph to measure. `repeat` is the most runs of one measure."""

    shape: str
    size: int
    repeat: int


@dataclass(frozen=True, slots=True)
class Settings:
    """What was asked for. `timeout` is in seconds."""

    graphs: Sequence[Graph]
    tools: Sequence[Tool]
    measures: Sequence[Measure]
    timeout: float


@dataclass(slots=True)
class Results:
    """What was measured; `steps` and `affected` (by the change) are counts, by shape and size."""

    series: dict[Key, Series] = field(default_factory=dict)
    steps: dict[tuple[str, int], int] = field(default_factory=dict)
    affected: dict[tuple[str, int], int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class StartUp:
    """Runs of `python -c pass`, `marin-build --version`, and of plans of small graphs."""

    bare: Series
    version: Series
    plan: Series
    """Of the smallest graph."""
    few: Series
    """Of `FEW` steps, measured in turn with the smallest: both differ by little."""


@dataclass(slots=True)
class Stand:
    """One tool on one graph. Each full build has a new folder, in which the next measures run."""

    tool: Tool
    case: Case
    series: dict[Measure, Series]

    def stop(self, reason: str) -> None:
        """Put the reason where there is neither a result nor another reason yet."""
        for series in self.series.values():
            if series.problem is None and not series.outcomes:
                series.problem = reason

    def begin(self, folder: Path) -> None:
        """Go on in a folder in which nothing is built yet."""
        self.case = replace(self.case, folder=folder)
        self.tool.prepare(self.case)


def measure_all(
    settings: Settings, scratch: Scratch, after_each: Callable[[Results], None]
) -> Results:
    """Run everything, in scratch folders; call back after each graph."""
    results = Results()
    too_slow: dict[tuple[str, str], int] = {}
    for graph in settings.graphs:
        shape, size = graph.shape, graph.size
        bench = Bench(settings, graph, scratch)
        for tool in settings.tools:
            series = {kind: Series() for kind in Measure}
            for kind, one in series.items():
                results.series[shape, size, tool.name, kind] = one
            refused = _refusal(tool, size, too_slow.get((shape, tool.name)))
            stand = Stand(tool, Case(shape, size, bench.new_folder(tool)), series)
            if refused is None:
                bench.stands.append(stand)
            else:
                stand.stop(refused)
        results.steps[shape, size] = len(bench.edges)
        results.affected[shape, size] = len(bench.affected)
        bench.run()
        for stand in bench.stands:
            if any(one.timed_out for one in stand.series[Measure.FULL].outcomes):
                too_slow[shape, stand.tool.name] = size
        after_each(results)
    return results


def _refusal(tool: Tool, size: int, too_slow_at: int | None) -> str | None:
    """Say why this tool is not tried at this size, or None."""
    if tool.version() is None:
        return "not installed"
    if tool.largest is not None and size > tool.largest[0]:
        return f"{tool.name} is not tried above {tool.largest[0]:,} steps: {tool.largest[1]}"
    if too_slow_at is not None and size >= too_slow_at:
        return f"not tried: its full build of {too_slow_at:,} steps was stopped by the time-out"
    return None


class Bench:
    """All tools on one graph, taking turns, so that all of them meet the same disturbances."""

    def __init__(self, settings: Settings, graph: Graph, scratch: Scratch) -> None:
        self.settings = settings
        self.graph = graph
        self.scratch = scratch
        self.edges = graph_shapes.edges(graph.shape, graph.size)
        changed = graph_shapes.changed(graph.shape, graph.size)
        self.affected = graph_shapes.affected(self.edges, changed)
        self.stands: list[Stand] = []

    def new_folder(self, tool: Tool) -> Path:
        """Return a new folder for this tool to build the graph in."""
        return self.scratch.new_folder(f"{self.graph.shape}-{self.graph.size}-{tool.name}")

    def run(self) -> None:
        """Run what was asked for, in the order of `Measure`: each for all tools in turn."""
        for stand in self.stands:
            stand.begin(stand.case.folder)
        for kind in self.settings.measures:
            once = kind is Measure.FULL and self.graph.size >= ONE_BUILD_FROM
            for turn in range(1 if once else self.graph.repeat):
                for stand in self.stands:
                    self._turn(stand, kind, turn)
            for stand in self.stands:
                if kind is Measure.FULL and stand.series[kind].problem is not None:
                    stand.stop("nothing was built, see the full build")

    def _turn(self, stand: Stand, kind: Measure, turn: int) -> None:
        """Run one measure once more, if it is to be, and check what it has written."""
        series = stand.series[kind]
        spent = sum(outcome.seconds for outcome in series.outcomes)
        if series.problem is not None or (turn > 0 and spent > BUDGET_SECONDS):
            return
        if kind is Measure.FULL and turn > 0:
            stand.begin(self.new_folder(stand.tool))
        case = stand.case
        must_run = 0
        timeout = self.settings.timeout
        match kind:
            case Measure.FULL:
                must_run = len(self.edges)
                timeout = max(timeout, BUILD_SECONDS_A_STEP * must_run)
            case Measure.CHANGED:
                must_run = len(self.affected)
                case = replace(case, generation=turn + 1)
                stand.tool.prepare(case)
            case Measure.PLAN | Measure.EXPLAIN | Measure.NOOP:
                pass
        command = stand.tool.command(kind, case)
        if command is None:
            series.problem = "the tool has nothing like it"
            return
        marker = case.folder / "marker"
        marker.write_bytes(b"")
        outcome = run(command, timeout)
        series.outcomes.append(outcome)
        series.problem = outcome.problem
        if series.problem is None and (kind is not Measure.NOOP or turn == 0):
            built = kind not in (Measure.PLAN, Measure.EXPLAIN)
            series.problem = self._wrong(stand.tool, case, marker, must_run, built=built)
        note = series.problem or f"{outcome.seconds:.3f} s"
        where = f"{case.shape} {case.size:,} {stand.tool.name}: {kind.value}"
        print(f"{time.strftime('%H:%M:%S')} {where}: {note}", file=sys.stderr, flush=True)

    def _wrong(
        self, tool: Tool, case: Case, marker: Path, must_run: int, *, built: bool
    ) -> str | None:
        """Say what is wrong with the outputs: how many are newer than the marker, their bytes."""
        since = marker.stat().st_mtime_ns
        seeds = graph_shapes.seeds(case.shape, case.size, len(self.edges), case.generation)
        values = graph_shapes.expected(self.edges, seeds) if built else []
        lacking = {(graph_shapes.name(index), value) for index, value in enumerate(values)}
        written = 0
        for name, path in tool.outputs(case):
            written += path.stat().st_mtime_ns >= since
            lacking.discard((name, path.read_bytes()))
        if written != must_run:
            return f"wrong: {written:,} steps ran instead of {must_run:,}"
        if lacking:
            return f"wrong: {len(lacking):,} outputs are missing or have other bytes than expected"
        return None


def measure_turns(commands: Sequence[Command], repeat: int, timeout: float) -> list[Series]:
    """Run commands that build nothing, taking turns."""
    series = [Series() for _ in commands]
    for _ in range(repeat):
        for command, one in zip(commands, series, strict=True):
            if one.problem is None:
                one.outcomes.append(run(command, timeout))
                one.problem = one.outcomes[-1].problem
    return series
