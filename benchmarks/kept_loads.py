"""What commands cost where what an earlier load gave is used, and where it cannot be.

    python -m benchmarks.kept_loads [--repeat 10] [--steps 100000] [--python PYTHON] [--output FILE]

PYTHON has marin-build, pandas and scikit-learn. Each measure is taken in turns with the one that it
is compared with, so that both have the machine as it is just then. Byte code is compiled before.
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
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

from benchmarks.machine import describe

if TYPE_CHECKING:
    from collections.abc import Sequence

HERE = Path(__file__).parent
Row = Callable[[str, "Run", str, "Run", float | None], None]
"""Measures a command and another one, and adds a row: what, which, with what, which, most."""
IMPORTS = "import pandas\nimport sklearn.linear_model\n"
REFUSED = "import subprocess\nsubprocess.run(['true'])\n"
PIPELINE = """\
from marin_build import StepSpec, step


@step
def part(output: str, n: int) -> dict[str, int]:
    return {"n": n}


@step
def total(output: str, parts: list[dict[str, int]]) -> dict[str, int]:
    return {"n": sum(each["n"] for each in parts)}


def pipeline() -> list[StepSpec]:
    return [total([part(n=n) for n in range(19)])]
"""
COMMANDS = (("apply",), ("plan",), ("explain", "total"))
DIFF = ("diff", "HEAD")
OFF = "--no-analysis-cache"
MOST_LOADS = 8
HEAD = """\
# Commands that use what earlier loads gave

Written by the harness; do not edit. Medians of {repeat} runs in turns: the processor's time, user
and system, of the whole process, in brackets the wall clock. What an earlier load gave is *used*
where [nothing has changed that it looked at](../docs/how-to/plan-without-imports.md); *off* is
`--no-analysis-cache`. Where no size is named, there are 20 steps.

    python -m benchmarks.kept_loads --repeat {repeat} --steps {steps} --output FILE

| measure | ms | compared with | ms | ratio of CPU | aim |
| --- | ---: | --- | ---: | ---: | --- |
"""


@dataclass
class Times:
    """Milliseconds of runs."""

    cpu: list[float] = field(default_factory=list)
    wall: list[float] = field(default_factory=list)

    def __str__(self) -> str:
        return f"{median(self.cpu):.0f} ({median(self.wall):.0f})"


def spent() -> float:
    """Return the seconds of the processor that child processes took."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


@dataclass(frozen=True)
class Run:
    """A command in a project."""

    python: str
    folder: Path
    words: tuple[str, ...]

    def once(self, times: Times | None = None) -> str:
        """Run it; return what it printed on standard output."""
        program = (
            "import sys; sys.argv[0] = 'marin-build'; sys.path[0] = '/nowhere'\n"
            "from marin_build.cli.main import main; main()"
        )
        before, started = spent(), time.monotonic()
        done = subprocess.run(
            [self.python, "-c", program, *self.words],
            cwd=self.folder, check=True, capture_output=True, text=True,
        )  # fmt: skip
        if times is not None:
            times.wall.append(1000 * (time.monotonic() - started))
            times.cpu.append(1000 * (spent() - before))
        return done.stdout


def in_turns(one: Run, other: Run, repeat: int) -> tuple[Times, Times]:
    """Measure two commands, one after the other, several times."""
    times = Times(), Times()
    for _ in range(repeat):
        one.once(times[0])
        other.once(times[1])
    return times


def project(folder: Path, text: str) -> Path:
    """Write a project whose files are old enough to be believed."""
    folder.mkdir()
    (folder / "pipeline.py").write_text(text)
    (folder / "marin-build.toml").write_text("")
    return folder


def load_until_known(python: str, folder: Path, words: Sequence[str]) -> None:
    """Run a command until what its load gave is used, or it is known why that cannot be."""
    for _ in range(MOST_LOADS):
        Run(python, folder, tuple(words)).once()
        indices = (folder / ".marin-build" / "analyses").glob("*.json")
        states = {json.loads(each.read_text()).get("state") for each in indices}
        time.sleep(0 if states == {"used"} else 2.1)  # a file that was just written is not believed
        if states == {"used"}:
            return


def mark_built(python: str, folder: Path, words: Sequence[str]) -> None:
    """Have all requested outputs count as built: their statuses say so, and no record is there."""
    listed = json.loads(Run(python, folder, ("plan", "--json", *words)).once())
    needed = {dep for each in listed["decisions"] for dep in each["deps"]}
    for each in listed["decisions"]:
        if each["target"] not in needed:
            output = folder / each["output_path"]
            output.mkdir(parents=True)
            (output / ".executor_status").write_text("SUCCESS")


def commit(folder: Path) -> None:
    """Make a repository of a project, with one commit."""
    for words in (["init", "-q"], ["add", "pipeline.py", "marin-build.toml"]):
        subprocess.run(["git", *words], cwd=folder, check=True)
    author = ["-c", "user.name=bench", "-c", "user.email=bench@localhost"]
    subprocess.run(["git", *author, "commit", "-qm", "one"], cwd=folder, check=True)


def measure_large(python: str, place: Path, steps: int, row: Row) -> None:
    """Measure a graph of many steps against a bare program that declares and hashes them."""
    large = project(place / "large", (HERE / "programs" / "pipeline.py").read_text())
    for file in (HERE / "graph_shapes.py", HERE / "programs" / "bare.py"):
        shutil.copy(file, large)
    time.sleep(2.1)
    size = ("--set", f"n={steps}")
    load_until_known(python, large, ["plan", *size])
    floor = Bare(python, large, ("plan",), steps)
    for built in (False, True):
        if built:
            mark_built(python, large, size)
        words = ("apply" if built else "plan", *size)
        name = f"`{words[0]}`{', nothing to do' if built else ''}, {steps:,} steps"
        one = Run(python, large, words)
        most = 1.0 if built else None
        row(f"{name}, used", one, "bare.py `plan`", floor, most)
        off = Run(python, large, (words[0], OFF, *words[1:]))
        row(f"{name}, used", one, "off", off, None)


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure; write the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeat", type=int, default=10)
    parser.add_argument("--steps", type=int, default=100_000)
    parser.add_argument("--python", default=sys.executable)
    parser.add_argument("--output", type=Path)
    given = parser.parse_args(arguments)
    python, repeat = given.python, given.repeat
    machine = [f"- {what}: {value}" for what, value in describe()]
    rows: list[str] = []

    def row(what: str, one: Run, than: str, other: Run, most: float | None) -> None:
        first, second = in_turns(one, other, repeat)
        ratio = median(a / b for a, b in zip(first.cpu, second.cpu, strict=True))
        aim = "" if most is None else f"{'pass' if ratio <= most else 'FAIL'}: at most {most}"
        rows.append(f"| {what} | {first} | {than} | {second} | {ratio:.2f} | {aim} |")
        print(rows[-1], flush=True)

    with tempfile.TemporaryDirectory(prefix="kept-loads-") as temporary:
        place = Path(temporary)
        folders = {
            name: project(place / name, text + PIPELINE)
            for name, text in (("heavy", IMPORTS), ("light", ""), ("refused", REFUSED))
        }
        time.sleep(2.1)
        for folder in folders.values():
            Run(python, folder, ("apply", "-q")).once()
            load_until_known(python, folder, ["plan"])
        heavy, light, refused = folders.values()
        for words in (*COMMANDS, DIFF):
            if words == DIFF:
                for folder in folders.values():
                    commit(folder)
                    load_until_known(python, folder, DIFF)
            name = f"`{' '.join(words)}`"
            off = (words[0], OFF, *words[1:])
            plain = Run(python, light, off)
            one = Run(python, heavy, words)
            row(f"{name}, imports pandas, used", one, "imports nothing, off", plain, 1.3)
            own = Run(python, heavy, off)
            row(f"{name}, imports pandas, used", one, "the same, off", own, None)
            row(f"{name}, imports nothing, used", Run(python, light, words), "off", plain, None)
            cannot = Run(python, refused, words)
            row(f"{name}, cannot be used", cannot, "off", Run(python, refused, off), 1.05)
        measure_large(python, place, given.steps, row)
    text = HEAD.format(repeat=repeat, steps=given.steps) + "\n".join([*rows, "", *machine]) + "\n"
    if given.output is not None:
        given.output.write_text(text)
    return 0


@dataclass(frozen=True)
class Bare(Run):
    """A bare program that makes the objects of a graph and hashes them: programs/bare.py."""

    steps: int

    def once(self, times: Times | None = None) -> str:
        """Run it."""
        environment = {"BENCH_SHAPE": "layers", "BENCH_SIZE": str(self.steps)}
        before, started = spent(), time.monotonic()
        subprocess.run(
            [self.python, "bare.py", *self.words], cwd=self.folder, check=True,
            env={**os.environ, **environment, "BENCH_GENERATION": "0"},
        )  # fmt: skip
        if times is not None:
            times.wall.append(1000 * (time.monotonic() - started))
            times.cpu.append(1000 * (spent() - before))
        return ""


if __name__ == "__main__":
    sys.exit(main())
