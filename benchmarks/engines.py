"""What engines cost a step: the same work by hand and by marin-build, in turns, in one run.

    python -m benchmarks.engines [--steps 200] [--seconds 5] [--at-once 2] [--output FILE]

Slurm is the private cluster of the tests, containers are podman's, with this machine's root as
their image. By hand means: `sbatch` of a chain and of an array, and `podman run`, of scripts that
do the work and nothing else. Needs what the tests of these engines need, and to be root.
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.machine import describe
from tests.servers.podman import private_podman
from tests.servers.slurm import slurm_cluster

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tests.servers.slurm import Cluster

PROGRAM = Path(sys.executable).with_name("marin-build")
PIPELINE = """
from marin_build import ResourceConfig, command

ROOM = ResourceConfig.with_cpu(1)


def pipeline(shape: str, steps: int, seconds: str, image: str = ""):
    room = ROOM.with_image(image) if image else ROOM
    made = []
    for index in range(steps):
        deps = {"above": made[-1]} if shape == "chain" and made else {}
        # The path stands in for what a step reads; it is not looked at.
        text = f"sleep {seconds}; echo {index} > {{output}}/n" + (" # {above}" if deps else "")
        made.append(command(text, name=f"s{index:04}", deps=deps, resources=room))
    return made
"""
CPUS = 64
"""Those of a node of the private cluster."""
REPEAT = 3
HEAD = """\
# What engines cost

Written by `python -m benchmarks.engines --output benchmarks/ENGINES.md`: the same work by hand and
by marin-build, which take turns in one run, on a private cluster of Slurm with one node and with
podman. A step sleeps and writes a file. Times are from the first command to the last output. A step
of marin-build starts an interpreter, loads the pipeline, holds a lease, keeps a log and commits:
0.4 s of a core here. On a cluster each job has its own cores. Here all share those of this machine,
so with more at once than it has cores, the arrays show more than a step costs there.
"""


@dataclass(frozen=True, slots=True)
class Row:
    """One comparison: what, and the seconds of each run by hand and by marin-build."""

    what: str
    by_hand: Sequence[float]
    ours: Sequence[float]

    @property
    def ratio(self) -> float:
        """The median of the ratios of runs that followed each other."""
        pairs = zip(self.by_hand, self.ours, strict=True)
        return statistics.median(ours / by_hand for by_hand, ours in pairs)


class Bench:
    """A folder in which everything happens, and the environment of all programs."""

    def __init__(self, folder: Path, environment: dict[str, str]) -> None:
        self._folder, self._environment = folder, {**os.environ, **environment}

    def project(self, settings: str) -> Path:
        """Make a project of its own."""
        folder = Path(tempfile.mkdtemp(dir=self._folder))
        (folder / "pipeline.py").write_text(PIPELINE)
        (folder / "marin-build.toml").write_text(settings)
        return folder

    def call(self, folder: Path, *words: str | Path, script: str = "") -> str:
        """Run a program to its end, which must be a good one."""
        done = subprocess.run(
            words,
            check=False,
            cwd=folder,
            env=self._environment,
            input=script,
            text=True,
            capture_output=True,
        )
        if done.returncode:
            raise RuntimeError(f"{words}: {done.stdout}{done.stderr}")
        return done.stdout

    def start(self, folder: Path, *words: str | Path, path: Path) -> subprocess.Popen[bytes]:
        """Start a program that finds the programs of `path` first."""
        environment = {**self._environment, "PATH": f"{path}:{self._environment['PATH']}"}
        return subprocess.Popen(
            words,
            cwd=folder,
            env=environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )


def until(happens: Callable[[], bool]) -> None:
    """Look twenty times a second until something has happened."""
    while not happens():
        time.sleep(0.05)


def timed(work: Callable[[], object]) -> float:
    """Return the seconds that something takes."""
    begin = time.perf_counter()
    work()
    return time.perf_counter() - begin


def in_turns(
    what: str, by_hand: Callable[[], object], ours: Callable[[], object], repeat: int
) -> Row:
    """Measure both, in turns."""
    seconds: list[tuple[float, float]] = []
    for turn in range(repeat):
        print(f"{what}: run {turn + 1} of {repeat}", file=sys.stderr)
        seconds.append((timed(by_hand), timed(ours)))
    return Row(what, [pair[0] for pair in seconds], [pair[1] for pair in seconds])


class SlurmCosts:
    """Chains and arrays of jobs."""

    def __init__(
        self, bench: Bench, cluster: Cluster, steps: int, seconds: float, at_once: int
    ) -> None:
        self._bench, self._cluster = bench, cluster
        self._steps, self._seconds, self._at_once = steps, seconds, at_once
        self._room = f"--cpus-per-task={CPUS // at_once}"
        self._settings = f'[slurm]\nprogram = "{PROGRAM}"\noptions = ["{self._room}"]\n'

    def rows(self, repeat: int) -> list[Row]:
        """Return all comparisons."""
        chain = max(self._steps // 10, 2)
        return [
            in_turns(
                f"array: {self._steps} of {self._seconds:g} s, {self._at_once} at once; `apply`",
                self._array_by_hand,
                lambda: self._apply("wide", self._steps),
                repeat,
            ),
            in_turns(
                f"array: {self._steps} of {self._seconds:g} s; `apply --detach`",
                self._array_by_hand,
                lambda: self._apply("wide", self._steps, "--detach"),
                repeat,
            ),
            in_turns(
                f"chain: {chain} of {self._seconds:g} s; `apply --detach`",
                lambda: self._chain_by_hand(chain),
                lambda: self._apply("chain", chain, "--detach"),
                repeat,
            ),
        ]

    def _array_by_hand(self) -> None:
        folder = self._bench.project("")
        tasks = f"--array=0-{self._steps - 1}"
        work = f'sleep {self._seconds}\necho $SLURM_ARRAY_TASK_ID > "out.$SLURM_ARRAY_TASK_ID"\n'
        self._submit(folder, work, tasks)
        until(lambda: len(list(folder.glob("out.*"))) == self._steps)

    def _chain_by_hand(self, steps: int) -> None:
        folder, last = self._bench.project(""), ""
        for index in range(steps):
            after = [f"--dependency=afterok:{last}"] if last else []
            work = f"sleep {self._seconds}\necho {index} > out.{index}\n"
            last = self._submit(folder, work, *after)
        until((folder / f"out.{steps - 1}").exists)

    def _submit(self, folder: Path, work: str, *options: str) -> str:
        words = ["sbatch", "--parsable", self._room, "--output=/dev/null", *options]
        return self._bench.call(folder, *words, script=f"#!/bin/bash\n{work}").strip()

    def _apply(self, shape: str, steps: int, *options: str) -> None:
        folder = self._bench.project(self._settings)
        chosen = [f"shape={shape}", f"steps={steps}", f"seconds={self._seconds}"]
        sets = [word for value in chosen for word in ("--set", value)]
        self._bench.call(folder, PROGRAM, "apply", "--engine", "slurm", *options, *sets)
        outputs = folder / ".marin-build" / "outputs"
        until(lambda: len(list(outputs.glob("*/.executor_info"))) == steps)

    def requests_a_minute(self, jobs: int) -> dict[str, int]:
        """Return how often `apply` calls Slurm's programs in a minute of following many jobs."""
        folder = self._bench.project(self._settings)
        programs = folder / "programs"
        programs.mkdir()
        for name in ("sbatch", "squeue", "sacct", "scancel", "scontrol", "sinfo"):
            wrapper = programs / name
            real = shutil.which(name)
            wrapper.write_text(f'#!/bin/sh\necho {name} >> {programs}/calls\nexec {real} "$@"\n')
            wrapper.chmod(0o755)
        sets = [f"--set={word}" for word in ("shape=wide", f"steps={jobs}", "seconds=600")]
        words = ["apply", "--engine", "slurm", *sets]
        run = self._bench.start(folder, PROGRAM, *words, path=programs)
        count = ("squeue", "--noheader", "--array", "--me")
        until(lambda: len(self._cluster.call(*count).splitlines()) >= jobs)
        submitted = _counted(programs / "calls")
        time.sleep(60.0)
        after = _counted(programs / "calls")
        run.terminate()
        run.wait()
        self._cluster.end_all_jobs()
        followed = {name: number - submitted.get(name, 0) for name, number in after.items()}
        return {
            "to submit them": sum(submitted.values()),
            "a minute to follow them": sum(followed.values()),
        }


def container_row(bench: Bench, steps: int, seconds: float, repeat: int) -> Row:
    """Compare containers with `podman run` alone, one after another."""
    settings = f'[container]\nprogram = "{PROGRAM}"\noptions = ["--rootfs"]\n'

    def by_hand() -> None:
        folder = bench.project("")
        for index in range(steps):
            work = f"sleep {seconds}; echo {index} > {folder}/out.{index}"
            volume = f"--volume={folder}:{folder}"
            words = ["podman", "run", "--rm", "--network=none", volume, "--rootfs", "/:O"]
            bench.call(folder, *words, "bash", "-c", work)

    def ours() -> None:
        folder = bench.project(settings)
        sets = [f"steps={steps}", f"seconds={seconds}", "image=/:O", "shape=chain"]
        words = [word for value in sets for word in ("--set", value)]
        bench.call(folder, PROGRAM, "apply", "--engine", "container", *words)

    return in_turns(f"containers: {steps} of {seconds:g} s, in a row", by_hand, ours, repeat)


def _counted(calls: Path) -> dict[str, int]:
    names = calls.read_text().split() if calls.exists() else []
    return {name: names.count(name) for name in names}


def _table(rows: Sequence[Row]) -> list[str]:
    lines = ["| work | by hand, s | marin-build, s | ratio |", "| --- | --- | --- | --- |"]
    for row in rows:
        hand, ours = statistics.median(row.by_hand), statistics.median(row.ours)
        lines.append(f"| {row.what} | {hand:.1f} | {ours:.1f} | {row.ratio:.2f} |")
    return lines


def main() -> None:
    """Measure, and write the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=200)
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--at-once", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--jobs", type=int, default=1000)
    parser.add_argument("--repeat", type=int, default=REPEAT)
    parser.add_argument("--output", type=Path)
    asked = parser.parse_args()
    machine = describe()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "slurm").mkdir()
        with slurm_cluster(folder / "slurm", nodes=1) as cluster:
            bench = Bench(folder, cluster.environment)
            slurm = SlurmCosts(bench, cluster, asked.steps, asked.seconds, asked.at_once)
            rows = slurm.rows(asked.repeat)
            requests = slurm.requests_a_minute(asked.jobs)
        (folder / "podman").mkdir()
        with private_podman(folder / "podman") as podman:
            bench = Bench(folder, podman.environment)
            rows.append(container_row(bench, 20, 1.0, asked.repeat))
    lines = [HEAD, *(f"- {what}: {value}" for what, value in machine), "", *_table(rows), ""]
    calls = ", ".join(f"{number} {what}" for what, number in requests.items())
    lines += [f"Calls of Slurm's programs by `apply` with {asked.jobs} jobs: {calls}.", ""]
    text = "\n".join(lines)
    if asked.output is not None:
        asked.output.write_text(text)
    print(text)


if __name__ == "__main__":
    main()
