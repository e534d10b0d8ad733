"""What a tool has to say of itself so that it can be measured."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from benchmarks import graph_shapes

if TYPE_CHECKING:
    from collections.abc import Iterator

    from benchmarks.measure import Command

PROGRAMS = Path(__file__).parent.parent / "programs"
"""The programs that run inside the tools."""
JOBS = "2"
"""How many steps run at once, in every tool."""


class Measure(Enum):
    """What is timed, in the order in which it is timed."""

    PLAN = "plan"
    EXPLAIN = "explain"
    FULL = "full build"
    NOOP = "no-op"
    CHANGED = "1 % changed"


@dataclass(frozen=True, slots=True)
class Case:
    """One graph in one tool's folder.

    `generation` counts the changes made to 1 % of its steps: 0 = as first built.
    """

    shape: str
    size: int
    folder: Path
    generation: int = 0

    @property
    def environment(self) -> dict[str, str]:
        """Say the case in the words that the programs read, except for marin-build's."""
        return {
            "BENCH_SHAPE": self.shape,
            "BENCH_SIZE": str(self.size),
            "BENCH_GENERATION": str(self.generation),
        }


class Tool(Protocol):
    """One build tool, used in one way."""

    @property
    def name(self) -> str:
        """Say what it is called on the command line and in the tables."""

    @property
    def largest(self) -> tuple[int, str] | None:
        """Say the largest size it is tried at and why, or None if it is tried at all sizes."""

    def version(self) -> str | None:
        """Return its version, or None if it is not installed."""

    def prepare(self, case: Case) -> None:
        """Write what the tool reads; again for each generation, in the same folder."""

    def command(self, measure: Measure, case: Case) -> Command | None:
        """Return what is run and timed, or None if the tool has nothing like it."""

    def outputs(self, case: Case) -> Iterator[tuple[str, Path]]:
        """Yield (step name, file) of all outputs there are, of all generations."""


def copy_programs(folder: Path, *names: str) -> None:
    """Put programs, and the graph they import, into a folder."""
    shutil.copy(graph_shapes.__file__, folder)
    for name in names:
        shutil.copy(PROGRAMS / name, folder)


def flat_outputs(folder: Path) -> Iterator[tuple[str, Path]]:
    """Yield the outputs that lie at `out/NAME`."""
    if (folder / "out").is_dir():
        for entry in os.scandir(folder / "out"):
            yield entry.name, Path(entry.path)


def hashed_outputs(folder: Path) -> Iterator[tuple[str, Path]]:
    """Yield the outputs that lie at `outputs/NAME_HASH/out`."""
    if (folder / "outputs").is_dir():
        for entry in os.scandir(folder / "outputs"):
            output = Path(entry.path, "out")
            if not entry.name.startswith(".") and output.exists():
                yield entry.name.rpartition("_")[0], output


def executable(name: str, venv: Path | None) -> str | None:
    """Return the absolute path of a program: of that environment, of ours, or on the PATH."""
    environments = [Path(sys.prefix) / "bin"] if venv is None else [venv / "bin"]
    for place in environments:
        if (place / name).exists():
            return str((place / name).absolute())
    return shutil.which(name)


def first_line(*argv: str) -> str | None:
    """Return the last word of the first line that e.g. `ninja --version` prints, or None."""
    try:
        done = subprocess.run(argv, capture_output=True, text=True, check=True, timeout=60)
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.split("\n", 1)[0].rpartition(" ")[2] or None
