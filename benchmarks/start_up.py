"""How soon each command says something, where all of 1,000 steps are built, and what it costs.

    python -m benchmarks.start_up [--against REVISION] [--repeat 20] [--commands apply,plan]
        [--output FILE]

With `--against`, each run is followed by one of that revision, so that both have the machine as it
is just then: the ratio is that of the processor's time of such a pair. A command that the revision
does not have is measured alone. Byte code is compiled before; files are in the page cache.
"""

from __future__ import annotations

import argparse
import compileall
import os
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

from benchmarks.machine import describe

if TYPE_CHECKING:
    from collections.abc import Sequence

ROOT = Path(__file__).parents[1]
STEPS = 1000
AIM_MS = 100.0
"""How much of the processor's time help and completions may take, in milliseconds."""
AT_ONCE = (
    "--version",
    "--help",
    "graph --help",
    "<Tab> gra",
    "<Tab> graph --fo",
    "<Tab> show s0001",
)
"""What has the aim; after `<Tab>` stands what a shell is to complete."""
COMMANDS = (
    *AT_ONCE,
    "apply",
    "plan",
    "explain s000100",
    "status",
    "path",
    "show s000999",
    "logs s000999",
    "ls",
    "du",
    "runs",
    "metrics",
    "lint",
    "graph",
    "verify s000999",
    "provenance s000999",
    "gc",
    "config show",
    "doctor",
)
NOTHING_SAID = -1000
"""In place of an exit code: the command has no answer."""
PROGRAM = (
    "import sys; sys.path.insert(0, {!r}); sys.argv[0] = 'marin-build'\n"
    "from marin_build.cli.main import main; main()"
)
CONFIGURATION = """\
pipeline = "pipeline.py:pipeline"
prefix = "outputs"
"""
HEAD = """\
# How soon a command says something

Written by the harness; do not edit. The project has {steps:,} steps in layers, and all are built.
*First byte* is the time from the start of the process to its first byte of output, *CPU* the
processor's time, user and system, of the whole process: medians of {repeat} runs, and in brackets
the shortest. {against}Aimed at: help and completions within {aim:.0f} ms of CPU. They wait for
nothing, so that with a processor to themselves they are there then; the first byte depends on what
else the machine does.

    python -m benchmarks.start_up {words}

"""


@dataclass(slots=True)
class Runs:
    """The runs of one command with one version; times in milliseconds."""

    first_byte: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Version:
    """One version of marin-build, the folder that holds its package, and a project built by it."""

    package: Path
    project: Path

    def run(self, command: str) -> tuple[float, float, int]:
        """Run a command; return its first byte and its CPU time, in milliseconds, and its code."""
        environment = {**os.environ, "HOME": str(self.project), "COLUMNS": "80"}
        for name in ("PYTHONDONTWRITEBYTECODE", "MARIN_PREFIX", "XDG_CACHE_HOME"):
            environment.pop(name, None)
        words = [] if command.startswith("<Tab>") else shlex.split(command)
        if not words:
            typed = ["marin-build", *command.split()[1:]]
            environment |= {"COMP_WORDS": " ".join(typed), "COMP_CWORD": str(len(typed) - 1)}
            environment["_MARIN_BUILD_COMPLETE"] = "bash_complete"
        argv = [sys.executable, "-P", "-c", PROGRAM.format(str(self.package)), *words]
        start = time.perf_counter()
        with subprocess.Popen(
            argv,
            cwd=self.project,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            bufsize=0,
        ) as process:
            assert process.stdout is not None
            said = process.stdout.read(1)
            first = time.perf_counter() - start
            said += process.stdout.read()
            _, status, usage = os.wait4(process.pid, 0)
            process.returncode = os.waitstatus_to_exitcode(status)
        cpu = usage.ru_utime + usage.ru_stime
        return first * 1000, cpu * 1000, process.returncode if said.strip() else NOTHING_SAID


def prepare(package: Path, project: Path) -> Version:
    """Compile a version's byte code, and build the project with it."""
    compileall.compile_dir(package / "marin_build", quiet=2)
    project.mkdir()
    for name in ("programs/pipeline.py", "graph_shapes.py"):
        shutil.copy(ROOT / "benchmarks" / name, project)
    (project / "marin-build.toml").write_text(CONFIGURATION)
    version = Version(package, project)
    for _ in range(2):
        *_, code = version.run("apply --isolation worker")
        if code != 0:
            raise SystemExit(f"the project was not built: exit code {code}")
    time.sleep(2.5)  # files that were written just now are read again
    version.run("apply")
    return version


def extract(revision: str, folder: Path) -> Path:
    """Return a folder that holds the package as it was in a revision."""
    folder.mkdir()
    archive = subprocess.run(
        ["git", "archive", revision, "marin_build", "templates"],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        check=True,
    )
    subprocess.run(["tar", "-x", "-C", str(folder)], input=archive.stdout, check=True)
    return folder


def measure(command: str, versions: Sequence[Version], repeat: int) -> list[Runs]:
    """Run a command with all versions in turn; one that fails with a version is not of it."""
    usable = [version for version in versions if version.run(command)[2] == 0]  # warms up
    found = {id(version): Runs() for version in usable}
    for _ in range(repeat):
        for version in usable:
            first, cpu, _ = version.run(command)
            found[id(version)].first_byte.append(first)
            found[id(version)].cpu.append(cpu)
    return [found.get(id(version), Runs()) for version in versions]


def row(command: str, now: Runs, before: Runs | None) -> str:
    """Return a line of the table."""
    cells = [f"`{command}`", _times(now.first_byte), _times(now.cpu)]
    if before is not None:
        cells += [_times(before.cpu), _ratio(now.cpu, before.cpu)]
    aimed = command in AT_ONCE and now.cpu
    cells.append(("pass" if median(now.cpu) <= AIM_MS else "**fail**") if aimed else "")
    return "| " + " | ".join(cells) + " |"


def _times(times: Sequence[float]) -> str:
    return f"{median(times):.0f} ({min(times):.0f})" if times else "-"


def _ratio(now: Sequence[float], before: Sequence[float]) -> str:
    if not now or not before:
        return "-"
    pairs = median(one / other for one, other in zip(now, before, strict=True))
    return f"{pairs:.2f}x ({min(now) / min(before):.2f}x)"


def main() -> None:
    """Measure, and write the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--against", metavar="REVISION")
    parser.add_argument("--repeat", type=int, default=20)
    parser.add_argument("--commands", default=",".join(COMMANDS))
    parser.add_argument("--output", type=Path)
    given = parser.parse_args()
    machine = "\n".join(f"- {what}: {value}" for what, value in describe())
    head = ["command", "first byte, ms", "CPU, ms"]
    against = ""
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        versions = [prepare(ROOT, folder / "now")]
        if given.against:
            head += [f"CPU at {given.against}, ms", "ratio of CPU"]
            against = (
                "The ratio is the median of pairs of runs, in brackets that of the\n"
                "shortest; `-`: that version has no such command. "
            )
            old = extract(given.against, folder / "package")
            versions.append(prepare(old, folder / "before"))
        rows = []
        for command in given.commands.split(","):
            now, *before = measure(command, versions, given.repeat)
            rows.append(row(command, now, before[0] if before else None))
            print(rows[-1], file=sys.stderr)
    head.append("aim")
    text = HEAD.format(
        steps=STEPS,
        repeat=given.repeat,
        against=against,
        aim=AIM_MS,
        words=" ".join(shlex.quote(word) for word in sys.argv[1:]),
    )
    lines = ["| " + " | ".join(head) + " |", "| --- |" + " ---: |" * (len(head) - 1), *rows]
    text += "\n".join(lines) + f"\n\n{machine}\n"
    if given.output is not None:
        given.output.write_text(text)
    print(text)


if __name__ == "__main__":
    main()
