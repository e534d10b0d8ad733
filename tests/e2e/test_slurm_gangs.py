"""Steps on several hosts, really run on Slurm: three nodes of a private cluster, ranks that die."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.servers.slurm import find_slurm, wait_until

from .slurm_support import on_cluster, start_again, until_empty
from .support import OUTPUTS, PATIENCE, parent_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.servers.slurm import Cluster

    from .support import Gate, Project

pytestmark = pytest.mark.skipif(not find_slurm(), reason="needs Slurm, and to be root")

RANKS = 3
PIPELINE = """\
import os
from pathlib import Path

from gate import wait_at_gate
from marin_build import ResourceConfig, command, current_rank, step

THREE = ResourceConfig.with_cpu(1, replicas=3)


@step
def corpus(output: Path) -> int:
    (output / "text").write_text("x")
    return 1


@step(resources=THREE, retries=1)
def model(output: Path, corpus: Path, gated: bool, fails: int) -> dict:
    rank = current_rank()
    print("rank", rank.number, "of", rank.count)
    (output / f"part-{rank.number}").write_text(f"{rank.count} {rank.leader}")
    if gated:
        wait_at_gate(f"{rank.number}")
    if fails == rank.number:
        raise ValueError(f"no <such> shard {rank.number}")
    if fails >= 0:
        wait_at_gate("others")
    return {"rank": rank.number}


def pipeline(gated: bool = False, fails: int = -1):
    made = model(corpus=corpus(), gated=gated, fails=fails)
    script = 'echo "$MARIN_BUILD_RANK of $MARIN_BUILD_RANKS" > {output}/$MARIN_BUILD_RANK'
    words = command(["sh", "-c", script], name="words", deps={"model": made}, resources=THREE)
    return words if fails < 0 and not gated else made
"""
SETTINGS = 'engine = "slurm"\nlease = 5\n[slurm]\npoll = 0.5\n'


@pytest.fixture
def on_slurm(project: Project, cluster: Cluster, gate: Gate) -> Iterator[Project]:
    """A project whose steps with resources go to the cluster."""
    with on_cluster(project, cluster, gate, PIPELINE, SETTINGS) as made:
        yield made


def _bodies(gate: Gate) -> dict[str, int]:
    """Wait until all ranks work; return their process ids."""
    return dict(gate.wait_started() for _ in range(RANKS))


def _run_step_of(body: int) -> int:
    """Return the `run-step` that a body is part of: the oldest of its ancestors of that name."""
    while b"run-step" in Path(f"/proc/{parent_of(body)}/cmdline").read_bytes():
        body = parent_of(body)
    return body


def test_the_hosts_of_a_gang_build_one_output(on_slurm: Project, cluster: Cluster) -> None:
    """Else a model that needs three machines is trained on one, or three times."""
    done = on_slurm.run("apply", "--detach")
    assert done.code == 0, done.err
    wait_until(lambda: list((on_slurm.root / OUTPUTS).glob("words_*/.executor_info")), PATIENCE)
    model, words = on_slurm.output_of("model"), on_slurm.output_of("words")
    host = os.uname().nodename
    assert [(model / f"part-{k}").read_text() for k in range(RANKS)] == [f"3 {host}"] * RANKS
    assert [(words / f"{k}").read_text() for k in range(RANKS)] == [
        f"{k} of 3\n" for k in range(RANKS)
    ]
    assert json.loads((model / ".artifact.json").read_text()) == {"rank": 0}
    manifest = on_slurm.attempt_of("model")["publish"]["manifest"]
    assert [entry["path"] for entry in manifest] == ["part-0", "part-1", "part-2"]
    assert on_slurm.run("logs", "model", "--rank", "2").out == "rank 2 of 3\n"
    assert on_slurm.run("logs", "model").out == "rank 0 of 3\n"
    assert "nothing to do" in on_slurm.run("apply").out
    until_empty(cluster)
    assert not on_slurm.open_leases()


def test_a_rank_that_fails_is_named_with_its_last_words(on_slurm: Project) -> None:
    """Else a person looks for one traceback in the logs of hundreds of hosts."""
    done = on_slurm.run("apply", "--set", "fails=1")
    assert done.code == 1
    assert "rank 1: ValueError: no <such> shard 1" in done.out + done.err
    assert "tried:   2 times" in done.err  # by two jobs
    jobs = {on_slurm.attempt_of("model", number)["job"] for number in (1, 2)}
    assert len(jobs) == 2
    assert "  | ValueError: no <such> shard 1" in done.err
    assert "no <such> shard 1" in on_slurm.run("logs", "model", "--set", "fails=1").out
    assert on_slurm.status_of("model") == "FAILED"
    assert not on_slurm.open_leases()


def test_a_gang_whose_rank_died_without_a_word_is_built_by_the_next_job(
    on_slurm: Project, gate: Gate
) -> None:
    """Else two hosts wait for a dead one until the job's time is over, or are built beside."""
    run = on_slurm.start("apply", "--set", "gated=true", "--json")
    bodies = _bodies(gate)
    os.kill(_run_step_of(bodies["1"]), signal.SIGKILL)
    failed = run.wait_event("step_failed")
    assert failed["message"].endswith("srun: error: n2: task 1: Killed")
    assert on_slurm.open_leases()  # the leader could not know that nothing works any more
    _bodies(gate)
    gate.let_go(RANKS)
    done = run.wait()
    assert done.code == 0, done.err
    assert json.loads((on_slurm.output_of("model") / ".executor_info").read_text())["attempt"] == 2
    assert on_slurm.attempt_of("model", 1)["result"] == "abandoned"


def test_a_cancelled_gang_is_cut_short(on_slurm: Project, gate: Gate) -> None:
    """Else Ctrl-C counts as a failure of the step, or leaves hosts that write on."""
    run = on_slurm.start("apply", "--set", "gated=true", "--json")
    _bodies(gate)
    run.send(signal.SIGINT)
    done = run.wait()
    assert done.code == 130, done.err
    assert done.names_of("step_interrupted") == ["model"]
    assert on_slurm.attempt_of("model")["result"] == "interrupted"
    assert not on_slurm.open_leases()


def test_a_gang_that_slurm_starts_again_is_another_launch(
    on_slurm: Project, gate: Gate, cluster: Cluster
) -> None:
    """Else a lost node counts as a failed step, or ranks of two starts write one output."""
    run = on_slurm.start("apply", "--set", "gated=true", "--json")
    job = run.wait_event("job_moved")["job"].partition(":")[2]
    _bodies(gate)
    cluster.call("scontrol", "update", "NodeName=n2", "State=DOWN", "Reason=test")
    start_again(cluster, job)
    _bodies(gate)
    gate.let_go(RANKS)
    done = run.wait()
    assert done.code == 0, done.err
    assert done.names_of("step_failed") == []
    record = json.loads((on_slurm.output_of("model") / ".executor_info").read_text())
    assert record["attempt"] == 2
