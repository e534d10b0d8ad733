"""What a saved plan costs by each way to replay it: `apply`, make, ninja and bash.

    python -m benchmarks.replays [--sizes 100,1000] [--ways apply,make,ninja,run.sh] [--output FILE]

Layers of sqrt(N) steps with up to three inputs each, two jobs at once (`run.sh`: one). A step does
next to nothing. After each build the number of outputs is compared.
"""

from __future__ import annotations

import argparse
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
once; `run.sh` has one. CPU is that of all processes together, and what ratios are made of, because
it hardly depends on what else the machine does.

"""


@dataclass(frozen=True, slots=True)
class Cost:
    """Seconds of wall clock and of CPU that a command took."""

    wall: float
    cpu: float


def run(command: list[str], folder: Path) -> Cost:
    """Run a command in a folder; its output is thrown away."""
    environ = {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    subprocess.run(command, cwd=folder, env=environ, stdout=subprocess.DEVNULL, check=True)
    after, end = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return Cost(end - start, cpu)


def measure(size: int, ways: list[str]) -> dict[str, tuple[Cost, Cost]]:
    """Return what building a graph of a size, and building it again, took by each way."""
    found = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        shutil.copy(CHECKOUT / "benchmarks/programs/pipeline.py", folder)
        shutil.copy(CHECKOUT / "benchmarks/graph_shapes.py", folder)
        run(["marin-build", "plan", "-o", "saved", "--set", f"n={size}"], folder)
        steps = len(list((folder / "saved/steps").iterdir()))
        for way in ways:
            shutil.rmtree(folder / ".marin-build/outputs", ignore_errors=True)
            full = run(WAYS[way], folder)
            built = len(list((folder / ".marin-build/outputs").glob("*/out")))
            assert built == steps, f"{way}: {built} of {steps} steps are built"
            found[way] = full, run(WAYS[way], folder)
            print(size, way, *found[way], file=sys.stderr, flush=True)
    return found


def table(size: int, found: dict[str, tuple[Cost, Cost]]) -> str:
    """Return the rows of one size."""
    lines = [
        f"## {size:,} steps\n",
        "| | build, s | CPU, s | ms of CPU a step | of apply | no-op, s | CPU, s | of apply |",
        "| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    reference = found["apply"]
    for way, (full, again) in found.items():
        ratios = [cost.cpu / base.cpu for cost, base in zip((full, again), reference, strict=True)]
        lines.append(
            f"| {way} | {full.wall:.1f} | {full.cpu:.1f} | {full.cpu / size * 1000:.1f} | "
            f"{ratios[0]:.1f} | {again.wall:.2f} | {again.cpu:.2f} | {ratios[1]:.1f} |"
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
