"""The Markdown page: machine, aims, tables, remarks. Shows, decides nothing."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from benchmarks.graph_shapes import SMALLEST
from benchmarks.tools.base import Measure

if TYPE_CHECKING:
    from collections.abc import Sequence

    from benchmarks.aims import Verdict
    from benchmarks.campaign import Results, Series, StartUp

VERDICTS = {True: "pass", False: "**fail**", None: "not measured"}
FLOOR = "floor"
INTRODUCTION = """\
Written by the harness; do not edit. [README](README.md) says what is measured and what is not.
All numbers and ratios are of one run of this command:"""
LEGEND = """\
In brackets: how many times the floor's time. *ms a step* is the full build divided by the steps,
*1 % changed* says also how many steps run again, *peak memory* is that of the biggest process: of
the full build, and of the plan."""
HEAD = (
    "steps",
    "tool",
    "full build",
    "ms a step",
    "no-op",
    "1 % changed",
    "plan",
    "explain",
    "peak memory",
)


@dataclass(frozen=True, slots=True)
class Page:
    """All that the page says. `tools` are (name, version or None), in the order of the tables."""

    date: str
    command: str
    machine: Sequence[tuple[str, str]]
    tools: Sequence[tuple[str, str | None]]
    graphs: int
    results: Results
    start: StartUp
    verdicts: Sequence[Verdict]


@dataclass(slots=True)
class Footnotes:
    """Numbered remarks, each said once."""

    texts: list[str] = field(default_factory=list)

    def mark(self, text: str) -> str:
        """Return the mark that refers to a text."""
        if text not in self.texts:
            self.texts.append(text)
        return f"[^{self.texts.index(text) + 1}]"


def render(page: Page) -> str:
    """Return the whole page."""
    notes = Footnotes()
    parts = ["# Benchmark results"]
    if len(page.results.steps) < page.graphs:
        done = f"{len(page.results.steps)} of {page.graphs}"
        parts.append(f"**Incomplete: {done} graphs were measured before the run was stopped.**")
    parts += [
        INTRODUCTION,
        f"    {page.command}",
        _table(("date", page.date), *page.machine),
        "## Aims",
        _table(
            ("aim", "limit", "measured", "result"),
            *[(row.aim, row.limit, row.measured, VERDICTS[row.met]) for row in page.verdicts],
        ),
        "## Tools",
        _table(
            ("tool", "version"),
            *[(name, version or "not installed") for name, version in page.tools],
        ),
        "## Start-up",
        _table(
            ("command", "median", "ratio", "peak memory"),
            _start("`python -c pass`", page.start.bare, page.start.bare, notes),
            _start("`marin-build --version`", page.start.version, page.start.bare, notes),
            _start(
                f"`marin-build plan` of {SMALLEST} steps", page.start.plan, page.start.bare, notes
            ),
        ),
        "## Graphs",
        LEGEND,
    ]
    for shape in dict.fromkeys(shape for shape, _ in page.results.steps):
        sizes = [size for of, size in page.results.steps if of == shape]
        rows = [
            _row(page.results, shape, size, name, notes) for size in sizes for name, _ in page.tools
        ]
        parts += [f"### {shape}", _table(HEAD, *rows)]
    if notes.texts:
        parts.append("## Remarks")
        parts += [f"[^{number}]: {text}" for number, text in enumerate(notes.texts, start=1)]
    return "\n\n".join(parts) + "\n"


def _row(results: Results, shape: str, size: int, tool: str, notes: Footnotes) -> tuple[str, ...]:
    """Show one tool on one graph."""
    series = {kind: results.series[shape, size, tool, kind] for kind in Measure}
    cells = {
        kind: _cell(one, results.series.get((shape, size, FLOOR, kind)), notes)
        for kind, one in series.items()
    }
    if series[Measure.CHANGED].seconds is not None:
        cells[Measure.CHANGED] += f", {results.affected[shape, size]:,} run"
    steps = results.steps[shape, size]
    full = series[Measure.FULL]
    return (
        f"{steps:,}",
        tool,
        cells[Measure.FULL],
        "-" if full.seconds is None else f"{full.seconds * 1000 / steps:.2f}",
        cells[Measure.NOOP],
        cells[Measure.CHANGED],
        cells[Measure.PLAN],
        cells[Measure.EXPLAIN],
        f"{_memory(full)}, {_memory(series[Measure.PLAN])}",
    )


def _start(command: str, series: Series, bare: Series, notes: Footnotes) -> tuple[str, ...]:
    """Show a row of the start-up table."""
    if series.seconds is None or series.peak_bytes is None or bare.seconds is None:
        return (command, _missing(series, notes), "-", "-")
    ratio = f"{series.seconds / bare.seconds:.2f}x"
    return (command, _time(series.seconds), ratio, _megabytes(series.peak_bytes))


def _cell(series: Series, floor: Series | None, notes: Footnotes) -> str:
    """Show a time and its ratio to the floor's, or a dash with the reason."""
    if series.seconds is None:
        return _missing(series, notes)
    if floor is None or floor is series or floor.seconds is None:
        return _time(series.seconds)
    return f"{_time(series.seconds)} ({series.seconds / floor.seconds:.1f}x)"


def _missing(series: Series, notes: Footnotes) -> str:
    return f"-{notes.mark(series.problem or 'not measured')}"


def _time(seconds: float) -> str:
    """Show a time with about three digits."""
    if seconds < 1:
        milliseconds = seconds * 1000
        return f"{milliseconds:.1f} ms" if milliseconds < 100 else f"{milliseconds:.0f} ms"
    return f"{seconds:.2f} s" if seconds < 10 else f"{seconds:.1f} s"


def _memory(series: Series) -> str:
    return "-" if series.peak_bytes is None else _megabytes(series.peak_bytes)


def _megabytes(number: int) -> str:
    return f"{number / 1e6:.0f} MB"


def _table(*rows: Sequence[str]) -> str:
    """Show a Markdown table; the first row is the head."""
    head, *body = rows
    lines = [head, ["---"] * len(head), *body]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)
