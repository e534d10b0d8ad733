"""doit: one sub-task with a Python action for each step."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from benchmarks.measure import Command
from benchmarks.tools.base import (
    JOBS,
    Case,
    Measure,
    copy_programs,
    executable,
    first_line,
    flat_outputs,
)

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@dataclass(frozen=True, slots=True)
class Doit:
    """doit with two worker processes; plan is its nearest: the list of tasks with their state."""

    venv: Path | None
    name: str = "doit"
    largest: tuple[int, str] | None = None

    def version(self) -> str | None:
        """Return its version, or None if it is not installed."""
        program = executable("doit", self.venv)
        return program and first_line(program, "--version")

    def prepare(self, case: Case) -> None:
        """Copy dodo.py and make the folder of the outputs, which doit does not."""
        copy_programs(case.folder, "dodo.py")
        (case.folder / "out").mkdir(exist_ok=True)

    def command(self, measure: Measure, case: Case) -> Command | None:
        """Return what is run and timed; without workers for the no-op, where that is faster."""
        match measure:
            case Measure.EXPLAIN:
                return None
            case Measure.PLAN:
                options = ["list", "--all", "--status"]
            case Measure.NOOP:
                options = ["run"]
            case Measure.FULL | Measure.CHANGED:
                options = ["run", "-n", JOBS]
        program = executable("doit", self.venv) or "doit"
        return Command((program, *options), case.folder, case.environment)

    def outputs(self, case: Case) -> Iterator[tuple[str, Path]]:
        """Yield (step name, file) of all outputs there are."""
        return flat_outputs(case.folder)
