"""snakemake: one rule with an input function; the action is the shell command ninja runs."""

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
class Snakemake:
    """snakemake with its greedy scheduler (faster here than its default); plan is a dry run."""

    venv: Path | None
    name: str = "snakemake"
    largest: tuple[int, str] | None = (1_000, "a full build takes about 12 ms a step")

    def version(self) -> str | None:
        """Return its version, or None if it is not installed."""
        program = executable("snakemake", self.venv)
        return program and first_line(program, "--version")

    def prepare(self, case: Case) -> None:
        """Copy the Snakefile."""
        copy_programs(case.folder, "Snakefile")

    def command(self, measure: Measure, case: Case) -> Command | None:
        """Return what is run and timed, or None if the tool has nothing like it."""
        if measure is Measure.EXPLAIN:
            return None
        program = executable("snakemake", self.venv) or "snakemake"
        dry = ("--dry-run",) if measure is Measure.PLAN else ()
        options = ("--cores", JOBS, "--scheduler", "greedy", *dry)
        return Command((program, *options), case.folder, case.environment)

    def outputs(self, case: Case) -> Iterator[tuple[str, Path]]:
        """Yield (step name, file) of all outputs there are."""
        return flat_outputs(case.folder)
