"""marin-build itself: steps in processes of their own (the default), in workers, in threads.

Every command loads the pipeline: what earlier loads gave is not used. `kept_loads` measures that.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from benchmarks import graph_shapes
from benchmarks.measure import Command
from benchmarks.tools.base import (
    JOBS,
    Case,
    Measure,
    copy_programs,
    executable,
    first_line,
    hashed_outputs,
)

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


def program() -> str | None:
    """Return the command of the environment this interpreter runs in."""
    return executable("marin-build", None)


@dataclass(frozen=True, slots=True)
class MarinBuild:
    """marin-build with one kind of isolation; a no-op is the same command again."""

    name: str = "marin-build"
    isolation: str = "process"
    jobs: str = JOBS
    largest: tuple[int, str] | None = None

    def version(self) -> str | None:
        """Return its version, or None if it is not installed."""
        found = program()
        return found and first_line(found, "--version")

    def prepare(self, case: Case) -> None:
        """Copy the pipeline; the case reaches it as parameters."""
        copy_programs(case.folder, "pipeline.py")

    def command(self, measure: Measure, case: Case) -> Command:
        """Return what is run and timed."""
        pipeline = ["-f", "pipeline.py", "--no-analysis-cache"]
        for key, value in (
            ("shape", case.shape),
            ("n", case.size),
            ("generation", case.generation),
        ):
            pipeline += ["--set", f"{key}={value}"]
        match measure:
            case Measure.PLAN:
                options = ["plan", *pipeline]
            case Measure.EXPLAIN:
                step = graph_shapes.name(graph_shapes.explained(case.size))
                options = ["explain", step, *pipeline]
            case Measure.FULL | Measure.NOOP | Measure.CHANGED:
                options = ["apply", *pipeline, "-j", self.jobs, "--isolation", self.isolation]
        environment = {"MARIN_PREFIX": str(case.folder / "outputs")}
        return Command((program() or "marin-build", *options), case.folder, environment)

    def outputs(self, case: Case) -> Iterator[tuple[str, Path]]:
        """Yield (step name, file) of all outputs there are, of all generations."""
        return hashed_outputs(case.folder)
