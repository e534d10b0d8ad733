"""The floor: what a bare Python program needs that does no more than it must."""

from __future__ import annotations

import platform
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

from benchmarks.measure import Command
from benchmarks.tools.base import Case, Measure, copy_programs, hashed_outputs

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@dataclass(frozen=True, slots=True)
class Floor:
    """`programs/bare.py` in this interpreter, one process, one thread."""

    name: str = "floor"
    largest: tuple[int, str] | None = None

    def version(self) -> str | None:
        """Return the version of Python; it is always installed."""
        return f"Python {platform.python_version()}"

    def prepare(self, case: Case) -> None:
        """Copy the program."""
        copy_programs(case.folder, "bare.py")

    def command(self, measure: Measure, case: Case) -> Command | None:
        """Return what is run and timed; the JSON plan that the no-op reads is left by the build."""
        match measure:
            case Measure.EXPLAIN:
                return None
            case Measure.PLAN:
                action = "plan"
            case Measure.NOOP:
                action = "check"
            case Measure.FULL | Measure.CHANGED:
                action = "build"
        return Command((sys.executable, "bare.py", action), case.folder, case.environment)

    def outputs(self, case: Case) -> Iterator[tuple[str, Path]]:
        """Yield (step name, file) of all outputs there are, of all generations."""
        return hashed_outputs(case.folder)
