"""How long a remote store is waited for: plans and builds over HTTP with an injected delay.

    python -m benchmarks.round_trips [--latency 0.03] [--steps 10000] [--output FILE]

The store is the Cloud Storage stand-in of the tests, the client the real gcsfs, the program the
real command line. A measure is run without delay and with it: what the delay adds, divided by it,
is the number of round trips that the command waited for. The stand-in counts the requests.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tests.servers.gcs import GcsServer

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

BUCKET = "bench"
PREFIX = f"gs://{BUCKET}/out"
PIPELINE = '''
from marin_build import StepSpec


def nothing(output):
    """Leave the work to the protocol."""


def pipeline(shape: str, steps: int):
    made = []
    width = {"chain": 1, "layers": 100, "wide": steps}[shape]
    for index in range(steps):
        above = made[-width:][:1] if index >= width else []
        made.append(StepSpec(name=f"s{index}", fn=nothing, outputs=(), deps=above))
    last = made[-width:]
    return StepSpec(name="all", fn=nothing, outputs=(), deps=last)
'''
REPEAT = 3
HEAD = """\
# Round trips

Written by `python -m benchmarks.round_trips --output benchmarks/ROUND_TRIPS.md`: the command line,
gcsfs, and the stand-in for Cloud Storage of the tests, without and with an injected delay. The time
that the delay adds, divided by the delay, is the number of round trips that the command waited for.
Up to 100 requests are made at once. A build with `-j 1` does its steps one after another; with
`-j N` N at a time.
"""


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table."""

    what: str
    requests: int
    seconds: float
    delayed: float
    latency: float

    @property
    def waits(self) -> float:
        """Round trips that were waited for, one after another."""
        return (self.delayed - self.seconds) / self.latency


class Bench:
    """A store, a pipeline file, and what is run on them."""

    def __init__(self, server: GcsServer, folder: Path, latency: float) -> None:
        self._server = server
        self._folder = folder
        self._latency = latency
        (folder / "pipeline.py").write_text(PIPELINE)
        (folder / "marin-build.toml").write_text("")

    def run(self, *words: str) -> tuple[float, int]:
        """Run one command; return its seconds and its requests."""
        self._server.calls.clear()
        environment = {**os.environ, "STORAGE_EMULATOR_HOST": self._server.url}
        began = time.perf_counter()
        subprocess.run(
            [sys.executable, "-m", "marin_build", *words, "--prefix", PREFIX],
            cwd=self._folder,
            env=environment,
            stdout=subprocess.DEVNULL,
            check=True,
        )
        return time.perf_counter() - began, len(self._server.calls)

    def measure(self, what: str, *words: str, before: Callable[[], None]) -> Row:
        """Run a command with and without the delay, in turns."""
        plain: list[float] = []
        delayed: list[float] = []
        requests = 0
        for _ in range(REPEAT):
            for latency, found in ((0.0, plain), (self._latency, delayed)):
                self._server.faults.latency = 0.0
                before()
                self._server.faults.latency = latency
                seconds, requests = self.run(*words)
                found.append(seconds)
        self._server.faults.latency = 0.0
        return Row(
            what, requests, statistics.median(plain), statistics.median(delayed), self._latency
        )

    def empty(self) -> None:
        """Forget everything that was built."""
        self._server.api.buckets.objects(BUCKET).clear()


def measure(bench: Bench, steps: int) -> list[Row]:
    """Return the table."""

    def nothing() -> None:
        """Leave the store as it is."""

    def shape(name: str, count: int) -> tuple[str, ...]:
        return ("--set", f"shape={name}", "--set", f"steps={count}")

    rows = [
        bench.measure(
            f"plan, nothing built, {steps:,} steps in layers of 100 ({steps // 100} deep)",
            "plan", *shape("layers", steps), before=bench.empty,
        ),
        bench.measure(
            "plan, nothing built, chain of 1,000",
            "plan", *shape("chain", 1_000), before=bench.empty,
        ),
    ]  # fmt: skip
    build = bench.measure(
        "apply -j 1, nothing built, 100 steps",
        "apply", "-q", "-j", "1", "--isolation", "thread", *shape("wide", 99), before=bench.empty,
    )  # fmt: skip
    rows.append(build)
    bench.empty()
    bench.run("apply", "-q", "-j", "64", "--isolation", "thread", *shape("layers", steps))
    rows += [
        bench.measure(
            f"plan, all built, {steps:,} steps, one target asked for",
            "plan", *shape("layers", steps), before=nothing,
        ),
        bench.measure(
            f"apply, all built, {steps:,} steps, one target asked for",
            "apply", "-q", *shape("layers", steps), before=nothing,
        ),
    ]  # fmt: skip
    return rows


def render(rows: Sequence[Row], latency: float) -> str:
    """Return the table as Markdown."""
    head = (
        f"| with {latency * 1000:.0f} ms a request | requests | s without delay | s with delay "
        "| round trips waited for |"
    )
    lines = [HEAD, head, "| --- | ---: | ---: | ---: | ---: |"]
    lines += [
        f"| {row.what} | {row.requests:,} | {row.seconds:.2f} | {row.delayed:.2f} "
        f"| {row.waits:.1f} |"
        for row in rows
    ]
    return "\n".join(lines) + "\n"


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.round_trips", description=__doc__)
    parser.add_argument("--latency", type=float, default=0.03)
    parser.add_argument("--steps", type=int, default=10_000)
    parser.add_argument("--output", type=Path)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, GcsServer(BUCKET) as server:
        rows = measure(Bench(server, Path(folder), asked.latency), asked.steps)
    text = render(rows, asked.latency)
    print(text)
    if asked.output is not None:
        asked.output.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
