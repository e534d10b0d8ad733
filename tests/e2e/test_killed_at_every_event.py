"""Killed at every event of its journal, a run that is begun again leaves what a calm one leaves."""

from __future__ import annotations

import shutil
import signal
from typing import TYPE_CHECKING

from .support import OUTPUTS, cases

if TYPE_CHECKING:
    from .support import Project

NAMES = ("corpus", "left", "right")
EVENTS = 2 + 2 * len(NAMES)
"""The beginning and the end of the run, and those of each step."""

PIPELINE = '''\
import itertools, os, signal
from pathlib import Path
from marin_build import step

HERE = Path(__file__).parent


def ran(name):
    with (HERE / "ran.txt").open("a") as stream:
        stream.write(f"{name}\\n")


@step(name="corpus")
def corpus(output: Path) -> int:
    ran("corpus")
    (output / "text").write_text("one two three")
    return 3


@step(name="{name}")
def side(output: Path, text: Path, name: str) -> str:
    ran(name)
    (output / "half").write_text("half")
    (output / name).write_text((text / "text").read_text()[::-1])
    return name


def pipeline():
    text = corpus()
    return [side(text=text, name="left"), side(text=text, name="right")]


def strike():
    """Kill this process, or the one that forks the steps."""
    pid = os.getpid()
    if os.environ["VICTIM"] == "template":
        pid = int(Path(f"/proc/{pid}/task/{pid}/children").read_text().split()[0])
    os.kill(pid, signal.SIGKILL)


if "KILL_AT" in os.environ:
    from marin_build.apply import journal_writer

    count, as_it_was = itertools.count(1), journal_writer.event_line

    def event_line(*event):
        if next(count) == int(os.environ["KILL_AT"]):
            strike()
        return as_it_was(*event)

    journal_writer.event_line = event_line
'''


def _committed(project: Project) -> set[str]:
    """Return the targets that are built: published, or sealed."""
    found = set()
    for name in NAMES:
        for path in (project.root / OUTPUTS).glob(f"{name}_*"):
            status, lease = path / ".executor_status", path / ".executor_status.lock"
            is_sealed = lease.exists() and "seal=" in lease.read_text()
            if is_sealed or (status.exists() and status.read_text() == "SUCCESS"):
                found.add(name)
    return found


def _outputs(project: Project) -> dict[str, bytes]:
    """Return what steps left, artifacts and statuses, and leases.

    Whoever is killed between his SUCCESS and the end of his lease leaves that, sealed: it holds
    nobody up.
    """
    kept = (".artifact.json", ".executor_status", ".lock")
    return {
        name: data
        for name, data in project.tree(OUTPUTS).items()
        if ("/." not in f"/{name}" or name.endswith(kept)) and b" seal=" not in data
    }


@cases(
    "isolation victim code",
    process=("process", "applier", -signal.SIGKILL),
    worker=("worker", "applier", -signal.SIGKILL),
    thread=("thread", "applier", -signal.SIGKILL),
    template=("process", "template", 1),
)
def test_what_is_begun_again_is_what_was_never_killed(
    project: Project, isolation: str, victim: str, code: int
) -> None:
    """Else a closed laptop costs a step that was finished, or leaves half an output as a whole."""
    project.pipeline(PIPELINE)
    args = ("apply", "-j", "2", "--isolation", isolation)
    assert project.run(*args).code == 0
    calm = _outputs(project)
    for number in range(1, EVENTS + 1):
        shutil.rmtree(project.root / ".marin-build")
        kill = {"KILL_AT": str(number), "VICTIM": victim}
        killed = project.start(*args, env=kill)
        done = killed.wait()
        # When all steps have answered, nobody misses the template.
        is_missed = victim == "applier" or number <= 2
        assert done.code == code if is_missed else done.code in {0, code}, done
        assert killed.wait_until_all_gone() == {}
        committed, before = _committed(project), project.counts()
        again = project.run(*args)
        assert (again.code, again.err) == (0, ""), again
        after = project.counts()
        assert {name: after[name] - before.get(name, 0) for name in committed} == dict.fromkeys(
            committed, 0
        )
        assert _outputs(project) == calm
