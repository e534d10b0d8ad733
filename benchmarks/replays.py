"""What a saved plan costs by each way to replay it: `apply`, make, ninja and bash.

    python -m benchmarks.replays [--sizes 100,1000] [--ways apply,make,ninja,run.sh] [--output FILE]

Layers of sqrt(N) steps with up to three inputs each, two jobs at once (`run.sh`: one). A step does
next to nothing. `apply` builds all; make and ninja build the first layer, and `apply` the rest;
`run.sh` cannot build a part. After each build the number of outputs is compared.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from benchmarks.machine import describe

CHECKOUT = Path(__file__).parents[1]
WAYS = {
    "apply": ["marin-build", "apply", "saved", "-j", "2", "--quiet"],
    "make": ["make", "-j2", "-f", "saved/Makefile"],
    "ninja": ["ninja", "-j2", "-f", "saved/build.ninja"],
    "run.sh": ["bash", "saved/run.sh"],
}
HEAD = """\
# Replays

Written by `python -m benchmarks.replays --output benchmarks/REPLAYS.md`: a saved plan of layers of
steps that do next to nothing, built and then built again, by each way to replay it. Two jobs at
once; `run.sh` has one. `apply` builds all steps, make and ninja the first layer: what a step costs
them does not depend on how many are built, but on how many the plan has, because each script reads
all of it. `run.sh` calls the same scripts. CPU is that of all processes together, and what ratios
are made of, because it hardly depends on what else the machine does.

"""


@dataclass(frozen=True, slots=True)
class Cost:
    """Seconds of wall clock and of CPU that a command took."""

    wall: float
    cpu: float


@dataclass(frozen=True, slots=True)
class Build:
    """What building so many steps took."""

    steps: int
    cost: Cost

    @property
    def cpu_of_one(self) -> float:
        """Seconds of CPU a step."""
        return self.cost.cpu / self.steps


def run(command: list[str], folder: Path) -> Cost:
    """Run a command in a folder; its output is thrown away."""
    environ = {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    subprocess.run(command, cwd=folder, env=environ, stdout=subprocess.DEVNULL, check=True)
    after, end = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return Cost(end - start, cpu)


def measure(size: int, ways: list[str]) -> dict[str, tuple[Build | None, Cost]]:
    """Return what building a graph of a size, and building it again, took by each way."""
    found = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        shutil.copy(CHECKOUT / "benchmarks/programs/pipeline.py", folder)
        shutil.copy(CHECKOUT / "benchmarks/graph_shapes.py", folder)
        run(["marin-build", "plan", "-o", "saved", "--set", f"n={size}"], folder)
        decisions = json.loads((folder / "saved/plan.json").read_text())["decisions"]
        layer = [each["target"] for each in decisions if not each["deps"]]
        for way in ways:
            outputs = folder / ".marin-build/outputs"
            if outputs.exists():  # aside, not away: see `scratch`
                outputs.rename(folder / f"outputs-before-{way}")
            part = layer if way in {"make", "ninja"} else []
            full = None
            if way != "run.sh":
                full = Build(len(part) or size, run([*WAYS[way], *part], folder))
            if way != "apply":
                run(WAYS["apply"], folder)
            built = len(list((folder / ".marin-build/outputs").glob("*/out")))
            assert built == size, f"{way}: {built} of {size} steps are built"
            found[way] = full, run(WAYS[way], folder)
            print(size, way, *found[way], file=sys.stderr, flush=True)
    return found


def table(size: int, found: dict[str, tuple[Build | None, Cost]]) -> str:
    """Return the rows of one size."""
    lines = [
        f"## {size:,} steps\n",
        "| | built | s | CPU, s | ms of CPU a step | of apply | no-op, s | CPU, s | of apply |",
        "| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    reference, reference_again = found["apply"]
    assert reference is not None
    for way, (full, again) in found.items():
        build = (
            f"{full.steps} | {full.cost.wall:.1f} | {full.cost.cpu:.1f} | "
            f"{full.cpu_of_one * 1000:.1f} | {full.cpu_of_one / reference.cpu_of_one:.1f}"
            if full is not None
            else "- | - | - | - | -"
        )
        lines.append(
            f"| {way} | {build} | "
            f"{again.wall:.2f} | {again.cpu:.2f} | {again.cpu / reference_again.cpu:.1f} |"
        )
    return "\n".join(lines) + "\n"


def main() -> None:
    """Measure, and write the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sizes", default="100,1000")
    parser.add_argument("--ways", default=",".join(WAYS))
    parser.add_argument("--output", type=Path)
    given = parser.parse_args()
    ways = given.ways.split(",")
    machine = "".join(f"- {name}: {value}\n" for name, value in describe())
    tables = [table(int(size), measure(int(size), ways)) for size in given.sizes.split(",")]
    page = HEAD + machine + "\n" + "\n".join(tables)
    if given.output is not None:
        given.output.write_text(page)
    else:
        print(page)


if __name__ == "__main__":
    main()
