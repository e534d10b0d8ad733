"""Machines of a Slurm cluster that die, or lose their network: Slurm starts their jobs again."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import pytest

from tests.servers.slurm import find_slurm, slurm_cluster, wait_until

from .slurm_support import start_again, use_cluster
from .support import PATIENCE, is_running, wait_for_exits

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.servers.slurm import Cluster

    from .support import Gate, Project, Running

pytestmark = pytest.mark.skipif(not find_slurm(), reason="needs Slurm, and to be root")

NAMES = ("died", "cut-off")
PIPELINE = """\
import os
from pathlib import Path

from gate import wait_at_gate
from marin_build import ResourceConfig, step

HERE = Path(__file__).parent


@step(name="{name}", resources=ResourceConfig.with_cpu(1))
def model(output: Path, name: str) -> str:
    node = os.environ["SLURMD_NODENAME"]
    with open(HERE / "ran.txt", "a") as stream:
        stream.write(f"{name}\\n")
    (output / "node").write_text(node)
    wait_at_gate(name)
    (output / "same").write_text((output / "node").read_text())
    return node


def pipeline():
    return [model(name="died"), model(name="cut-off")]
"""
SETTINGS = 'engine = "slurm"\nlease = 5\n[slurm]\npoll = 0.5\noptions = ["--exclusive"]\n'


@pytest.fixture
def short_lived(tmp_path: Path) -> Iterator[Cluster]:
    """A cluster that misses a node within seconds; a busy machine must not look like a dead one."""
    with slurm_cluster(tmp_path / "slurm", 4, lost_after=10) as made:
        yield made


@pytest.fixture
def on_slurm(project: Project, short_lived: Cluster, gate: Gate) -> Project:
    """A project whose steps have a node each."""
    use_cluster(project, short_lived, gate, PIPELINE, SETTINGS)
    return project


def _running(run: Running) -> dict[str, dict[str, Any]]:
    """Wait until both jobs run; return the events that say so, by the names of their steps."""
    found: dict[str, dict[str, Any]] = {}
    while len(found) < len(NAMES):
        event = run.wait_event("job_moved")
        if event["phase"] == "running":
            found[event["name"]] = event
    return found


def _places(running: dict[str, dict[str, Any]]) -> dict[str, str]:
    return {name: event["place"] for name, event in running.items()}


def test_a_lost_node_costs_no_step_and_doubles_none(
    on_slurm: Project, short_lived: Cluster, gate: Gate
) -> None:
    """Else a dead machine fails a run of days, or one without network has two jobs write."""
    run = on_slurm.start("apply", "--json")
    pids = dict(gate.wait_started() for _ in NAMES)
    running = _running(run)
    first = _places(running)
    short_lived.kill_machine(first["died"])
    wait_for_exits([pids["died"]], time.monotonic() + PATIENCE)
    short_lived.kill(first["cut-off"])  # it can tell nobody that its step goes on
    for event in running.values():
        start_again(short_lived, event["job"].removeprefix("slurm:"))
    again = _places(_running(run))
    assert set(again.values()).isdisjoint(first.values())
    (name, _) = gate.wait_started()
    assert name == "died"
    logs = on_slurm.root / ".marin-build/slurm"
    words = "waiting   cut-off_"
    wait_until(lambda: any(words in log.read_text() for log in logs.glob("*.log")), PATIENCE)
    assert is_running(pids["cut-off"])
    gate.let_go(2)
    done = run.wait()
    assert done.code == 0, done.err
    assert done.names_of("step_failed") == []
    assert sorted(done.names_of("step_succeeded")) == sorted(NAMES)
    assert on_slurm.counts() == {"died": 2, "cut-off": 1}
    ends = {name: on_slurm.attempt_of(name, 2 if name == "died" else 1) for name in NAMES}
    assert {name: end["result"] for name, end in ends.items()} == dict.fromkeys(NAMES, "succeeded")
    by = {name: (on_slurm.output_of(name) / "same").read_text() for name in NAMES}
    assert by == {"died": again["died"], "cut-off": first["cut-off"]}
    assert not (on_slurm.output_of("cut-off") / ".logs/attempt-0002.json").exists()
