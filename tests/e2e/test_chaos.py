"""Real appliers on one prefix, killed and frozen for real: nothing is lost, nothing is done twice.

The lease is two seconds here, so that freezing somebody past it takes two seconds and not sixty.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import random
import signal
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from .support import Gate, Project, gate_in, marked, parent_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .support import Running

LEASE = 2
KILLS = 5
TOML = f"lease = {LEASE}\n"

PIPELINE = """
import os
from pathlib import Path
from marin_build import step
from gate import wait_at_gate

HERE = Path(__file__).parent

@step(name="{name}")
def part(output: Path, name: str) -> str:
    with (HERE / "ran.txt").open("a") as ran:
        ran.write(f"{name}\\n")
    (output / "half").write_text("half")
    wait_at_gate(name)
    (output / "data").write_text(name)
    return name

@step
def held(output: Path) -> str:
    with (HERE / "ran.txt").open("a") as ran:
        ran.write(f"held {os.getpid()}\\n")
    wait_at_gate("held")
    (output / "data").write_text(str(os.getpid()))
    return "held"

@step(name="end")
def end(output: Path, parts: list[Path]) -> None:
    wait_at_gate("end")
    (output / "data").write_text(" ".join((part / "data").read_text() for part in parts))

def pipeline():
    return [end(parts=[part(name=f"p{i}") for i in range(6)])]
"""


# On the same machine work that stands still would be waited for, however long.
HELD = """\
import os
from dataclasses import replace
from marin_build.operations.loading import loading
from marin_build.store import lock_file
from pipeline import held

if "ELSEWHERE" in os.environ:
    this_host = loading.this_host
    loading.this_host = lambda *who: replace(this_host(*who), boot="another machine")
    lock_file._SET = None  # which does not see the locks of this one's kernel

def pipeline():
    return [held()]
"""


@pytest.fixture
def chaos(project: Project, tmp_path: Path) -> Iterator[tuple[Project, Gate]]:
    """A project with a short lease, and a gate its steps wait at."""
    project.write("marin-build.toml", TOML)
    project.pipeline(PIPELINE)
    project.write("held.py", HELD)
    with gate_in(tmp_path / "gate") as gate:
        project.environment["GATE"] = str(gate.folder)
        project.write("gate.py", Gate.MODULE)
        yield project, gate


def _ran(project: Project) -> list[str]:
    return project.file("ran.txt").splitlines()


def _record(project: Project, name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((project.output_of(name) / ".executor_info").read_text())
    return found


def _signal(pids: list[int], number: int) -> None:
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)


@pytest.mark.parametrize("seed", range(4))
def test_killed_at_any_instant_the_next_apply_goes_on_at_once(
    chaos: tuple[Project, Gate], seed: int
) -> None:
    """Else a crash costs finished work, or a wait for a lease that nobody holds."""
    project, gate = chaos
    dice, kills = random.Random(seed), 0
    appliers: list[Running] = []
    while kills < KILLS:
        while len(appliers) < 2:
            appliers.append(project.start("apply", "-j", "2", "--json"))
        if not gate.started_or_ended(*appliers):
            break  # all is built
        if dice.random() < 0.5:
            victim = dice.choice(appliers)
            # The applier, the process its steps come from, the keeper, or a step.
            _signal([dice.choice([victim.pid, *marked(victim.marker)])], signal.SIGKILL)
            kills += 1
            victim.send(signal.SIGKILL)
            victim.wait()
            assert victim.wait_until_all_gone() == {}
            appliers.remove(victim)
        gate.let_go()
    assert kills
    gate.let_go(100)
    for running in appliers:
        running.wait()
        assert running.wait_until_all_gone() == {}
    project.run("apply", "-j", "2")  # what the killing of a step alone has failed
    last = project.run("apply", "-j", "2")
    assert last.out.startswith("nothing to do: 7 targets are reused\n"), last
    for number in range(6):
        name = f"p{number}"
        assert (project.output_of(name) / "data").read_text() == name
        # Who died between SUCCESS and the release left a sealed lease: it holds nobody up.
        lease = project.output_of(name) / ".executor_status.lock"
        assert not lease.exists() or " seal=" in lease.read_text()
        # Whoever ran it without committing left a trace: as many attempts as runs, or more.
        assert _record(project, name)["attempt"] >= _ran(project).count(name) >= 1
    assert (project.output_of("end") / "data").read_text() == "p0 p1 p2 p3 p4 p5"


@pytest.mark.parametrize("frozen", ["applier and keeper", "keeper"])
def test_who_is_frozen_past_the_lease_is_overtaken_and_commits_nothing(
    chaos: tuple[Project, Gate], frozen: str
) -> None:
    """Else a laptop that wakes up writes its old result over the one that is there."""
    project, gate = chaos
    first = project.start("apply", "-f", "held.py", "--json")
    _, body = gate.wait_started()
    keeper = _keeper_of(first, body)
    victims = [first.pid, *marked(first.marker)] if "applier" in frozen else [keeper]
    with _nobody_writes(project.output_of("held")):
        _signal(victims, signal.SIGSTOP)
    second = project.start("apply", "-f", "held.py", "--json", env={"ELSEWHERE": "1"})
    waiting = second.wait_event("step_waiting")
    assert waiting["time_to_live"] == LEASE
    second.wait_event("step_started")  # it took over, when the lease had stood still
    _, body_of_second = gate.wait_started()
    _signal(victims, signal.SIGCONT)
    gate.let_go(2)
    done = second.wait()
    assert done.code == 0
    overtaken = first.wait()
    assert overtaken.code in (1, 5), overtaken
    assert first.wait_until_all_gone() == {}
    assert second.wait_until_all_gone() == {}
    record = _record(project, "held")
    assert record["attempt"] == 2
    assert json.loads(done.out.splitlines()[-1])["run"] == record["run"]
    assert _ran(project) == [f"held {body}", f"held {body_of_second}"]
    assert project.status_of("held") == "SUCCESS"
    assert project.run("apply", "-f", "held.py").out.startswith(
        "nothing to do: 1 target is reused\n"
    )


@contextlib.contextmanager
def _nobody_writes(output: Path) -> Iterator[None]:
    """Keep everybody out of a folder: who is frozen inside a write holds its lock for as long."""
    folder = os.open(output, os.O_RDONLY)
    try:
        fcntl.flock(folder, fcntl.LOCK_EX)
        yield
    finally:
        os.close(folder)


def _keeper_of(running: Running, body: int) -> int:
    """Wait until the keeper holds the lease of a step, and return its process id."""
    before = {running.pid, body}
    outputs = Path(f"/proc/{running.pid}/cwd/.marin-build/outputs")
    while not (leases := list(outputs.glob("held_*/.executor_status.lock"))):
        os.sched_yield()  # it is not announced yet
    (lease,) = leases
    text = lease.read_bytes()
    while lease.read_bytes() == text:  # renewed by the keeper, so it is there
        os.sched_yield()
    template = parent_of(body)
    (keeper,) = [
        pid for pid in marked(running.marker) if pid not in before and parent_of(pid) == template
    ]
    return keeper


def test_a_frozen_step_whose_keeper_lives_is_waited_for(chaos: tuple[Project, Gate]) -> None:
    """Else a step that stands still for a moment is built twice."""
    project, gate = chaos
    first = project.start("apply", "-f", "held.py", "--json")
    _, body = gate.wait_started()
    _keeper_of(first, body)
    _signal([body], signal.SIGSTOP)
    second = project.start("apply", "-f", "held.py", "--json")
    second.wait_event("step_waiting")
    lease = project.output_of("held") / ".executor_status.lock"
    seen: set[bytes] = set()
    while len(seen) < 6:  # two leases' worth of renewals
        with contextlib.suppress(FileNotFoundError):  # it is not announced yet
            seen.add(lease.read_bytes())
        os.sched_yield()
    _signal([body], signal.SIGCONT)
    gate.let_go()
    assert first.wait().code == 0
    assert second.wait().code == 0
    assert _ran(project) == [f"held {body}"]


def test_a_full_disk_loses_nothing(project: Project, tmp_path: Path) -> None:
    """Else half an output is taken for a whole one, or what was finished is lost."""
    small = tmp_path / "small"
    small.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=600k", "none", small], check=True)
    try:
        project.pipeline(
            "from pathlib import Path\n"
            "from marin_build import step\n\n"
            "@step\n"
            "def one(output: Path) -> None:\n"
            "    (output / 'data').write_bytes(bytes(200_000))\n\n"
            "@step\n"
            "def two(output: Path, one: Path) -> None:\n"
            "    (output / 'data').write_bytes(bytes(250_000))\n\n"
            "def pipeline():\n"
            "    return two(one())\n"
        )
        ballast = small / "ballast"
        ballast.write_bytes(bytes(200_000))
        full = project.run("apply", "--prefix", small)
        assert (full.code, "no space left on device" in full.err.lower()) == (1, True), full
        assert project.status_of("one", str(small)) == "SUCCESS"
        said = project.output_of("two", str(small)) / ".executor_status"
        assert not said.exists() or said.read_text() != "SUCCESS"  # as far as it could be written
        ballast.unlink()
        assert project.run("apply", "--prefix", small).code == 0
        assert (project.output_of("two", str(small)) / "data").stat().st_size == 250_000
    finally:
        subprocess.run(["umount", small], check=True)
