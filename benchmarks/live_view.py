"""What the live view costs: a build of quick steps on a terminal, with it and with `--quiet`."""

from __future__ import annotations

import dataclasses
import statistics
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.measure import run
from benchmarks.tools.base import Case, Measure
from benchmarks.tools.marin_build import MarinBuild, program

if TYPE_CHECKING:
    from benchmarks.scratch import Scratch

STEPS = 1_000
PAIRS = 15
"""Builds of both kinds, taking turns in who is first: one build takes now more, now less time."""
ON_TERMINAL = Path(__file__).with_name("on_terminal.py")


@dataclass(slots=True)
class LiveView:
    """Seconds of builds with the live view and of those with `--quiet`, pair by pair."""

    live: list[float] = field(default_factory=list)
    quiet: list[float] = field(default_factory=list)

    @property
    def ratio(self) -> float | None:
        """Return the median of the pairs' ratios, or None if nothing was measured."""
        if not self.live:
            return None
        return statistics.median(a / b for a, b in zip(self.live, self.quiet, strict=True))


def measure_live_view(scratch: Scratch, timeout: float) -> LiveView:
    """Build in pairs.

    Raises:
        RuntimeError: a build fails.

    """
    found = LiveView()
    if program() is None:
        return found
    _build(scratch, timeout)  # compiled files, and whatever else only the first one pays for
    for pair in range(PAIRS):
        if pair % 2:
            found.live.append(_build(scratch, timeout))
            found.quiet.append(_build(scratch, timeout, "--quiet"))
        else:
            found.quiet.append(_build(scratch, timeout, "--quiet"))
            found.live.append(_build(scratch, timeout))
        note = f"{found.live[-1]:.3f} s; --quiet {found.quiet[-1]:.3f} s"
        print(f"live view of {STEPS:,} steps: {note}", file=sys.stderr, flush=True)
    return found


def _build(scratch: Scratch, timeout: float, *options: str) -> float:
    tool = MarinBuild()
    case = Case("layers", STEPS, scratch.new_folder("live-view"))
    tool.prepare(case)
    command = tool.command(Measure.FULL, case)
    shown = (sys.executable, "-I", "-S", str(ON_TERMINAL), *command.argv, *options)
    outcome = run(dataclasses.replace(command, argv=shown), timeout)
    if outcome.problem is not None:
        raise RuntimeError(outcome.problem)
    return outcome.seconds
