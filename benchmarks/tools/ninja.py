"""ninja: a generated build.ninja, each step a shell command that starts no further process."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from benchmarks import graph_shapes
from benchmarks.measure import Command
from benchmarks.tools.base import JOBS, Case, Measure, executable, first_line, flat_outputs

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

RULE = """\
rule step
  command = h=$start; for f in $in; do read -r x <$$f || :; $
      h=$$(( (h*31+1$$x) % 10000000000 )); done; printf %010d $$h >$out
"""
"""`1$$x` keeps leading zeros from meaning octal; the modulus takes the 1 away again."""


@dataclass(frozen=True, slots=True)
class Ninja:
    """ninja with its defaults; plan is `ninja -n`."""

    venv: Path | None
    name: str = "ninja"
    largest: tuple[int, str] | None = None

    def version(self) -> str | None:
        """Return its version, or None if it is not installed."""
        program = executable("ninja", self.venv)
        return program and first_line(program, "--version")

    def prepare(self, case: Case) -> None:
        """Write build.ninja; a changed seed is a changed command line."""
        graph = graph_shapes.edges(case.shape, case.size)
        seeds = graph_shapes.seeds(case.shape, case.size, len(graph), case.generation)
        paths = [f"out/{graph_shapes.name(index)}" for index in range(len(graph))]
        with (case.folder / "build.ninja").open("w") as stream:
            stream.write(RULE)
            for index, inputs in enumerate(graph):
                needs = " ".join(paths[source] for source in inputs)
                stream.write(f"build {paths[index]}: step {needs}\n")
                stream.write(f"  start = {graph_shapes.start(index, seeds[index])}\n")

    def command(self, measure: Measure, case: Case) -> Command | None:
        """Return what is run and timed, or None if the tool has nothing like it."""
        if measure is Measure.EXPLAIN:
            return None
        program = executable("ninja", self.venv) or "ninja"
        dry = ("-n",) if measure is Measure.PLAN else ()
        return Command((program, "-j", JOBS, *dry), case.folder)

    def outputs(self, case: Case) -> Iterator[tuple[str, Path]]:
        """Yield (step name, file) of all outputs there are."""
        return flat_outputs(case.folder)
