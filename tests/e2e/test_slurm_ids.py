"""Ids of Slurm that come twice: a controller that dies right after a submit forgets the job."""

from __future__ import annotations

import os
import shutil
import signal
from typing import TYPE_CHECKING

import pytest

from marin_build.engines.jobs import Phase
from marin_build.engines.slurm.command_line import SlurmQueue
from tests.servers.slurm import find_slurm, wait_until

from .slurm_support import SETTINGS, on_cluster
from .support import BIN, PATIENCE

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.servers.slurm import Cluster

    from .support import Gate, Project

pytestmark = pytest.mark.skipif(not find_slurm(), reason="needs Slurm, and to be root")

PIPELINE = """\
from pathlib import Path
from marin_build import ResourceConfig, step


@step(resources=ResourceConfig.with_cpu(1))
def model(output: Path) -> int:
    (output / "size").write_text("3")
    return 3


def pipeline():
    return model()
"""
HELD = f'{SETTINGS}options = ["--hold"]\n'


@pytest.fixture
def on_slurm(project: Project, cluster: Cluster, gate: Gate) -> Iterator[Project]:
    """A project whose job waits for a person."""
    with on_cluster(project, cluster, gate, PIPELINE, HELD) as made:
        yield made


def _submit(cluster: Cluster, *options: str, command: str = "exit") -> str:
    words = ("sbatch", "--parsable", "--output=/dev/null", *options, "--wrap", command)
    return cluster.call(*words).strip()


def _job(cluster: Cluster, job: str) -> list[str]:
    """Return the name and the state of a job."""
    return cluster.call("squeue", "--noheader", "--format=%j %t", f"--jobs={job}").split()


def test_an_id_that_means_another_job_means_nothing(
    cluster: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else the end of a stranger's job fails a step, and Ctrl-C cancels it."""
    monkeypatch.setenv("SLURM_CONF", str(cluster.config))
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    queue = SlurmQueue(str(tmp_path), str(tmp_path), 1.0)
    job = _submit(cluster, "--hold", "--job-name=mb-b")
    try:
        assert queue.poll({job: "mb-a"})[job].phase is Phase.UNKNOWN
        assert queue.poll({job: "mb-b"})[job].phase is Phase.QUEUED
        assert queue.find(["mb-a", "mb-b"]) == {"mb-b": job}
        queue.cancel({job: "mb-a"}, kill=False)
        queue.cancel({job: "mb-a"}, kill=True)
        assert list(queue.look(["mb-a", "mb-b"])) == ["mb-b"]
        queue.cancel({job: "mb-b"}, kill=False)
        assert queue.look(["mb-b"]) == {}
        assert queue.poll({job: "mb-b"})[job].words.startswith("CANCELLED")
    finally:
        cluster.end_all_jobs()


def test_a_run_takes_no_job_for_its_own_that_has_its_id(
    on_slurm: Project, cluster: Cluster, tmp_path: Path
) -> None:
    """Else a run waits for a stranger's job of days, calls its end its own, or cancels it."""
    folder = on_slurm.root / "bin"
    folder.mkdir()
    sbatch, squeue = folder / "sbatch", folder / "squeue"
    state = cluster.folder / "state/job_state"
    # The controller dies right after it took the first job.
    sbatch.write_text(
        f'#!/bin/sh\nmkdir {folder}/submitted 2>/dev/null || exec /usr/bin/sbatch "$@"\n'
        f'cp {state} {folder}\n/usr/bin/sbatch "$@" && kill -KILL {cluster.pid("slurmctld")}\n'
    )
    squeue.write_text(f'#!/bin/sh\necho >> {folder}/questions\nexec /usr/bin/squeue "$@"\n')
    for program in (sbatch, squeue):
        program.chmod(0o755)
    on_slurm.environment["PATH"] = f"{folder}:{BIN}:/usr/bin:/bin"
    run = on_slurm.start("apply", "--json")
    job = run.wait_event("job_moved")["job"].removeprefix("slurm:")
    cluster.kill("slurmctld")
    for path in state.parent.glob(f"{state.name}*"):
        path.unlink()  # it may have saved the job in that moment
    if (folder / state.name).exists():
        shutil.copy(folder / state.name, state)
    cluster.restart_controller(ids_may_come_twice=True)
    os.mkfifo(tmp_path / "end")
    ends = f"read line < {tmp_path}/end"
    # It may have forgotten jobs of other tests, whose ids the nodes know: those must not start.
    while int(other := _submit(cluster, "--hold", "--job-name=other", command=ends)) < int(job):
        pass
    assert other == job, "the controller has kept the first job"
    cluster.call("scontrol", "release", job)
    wait_until(lambda: _job(cluster, job) == ["other", "R"], PATIENCE)
    before = len((folder / "questions").read_text())
    wait_until(lambda: len((folder / "questions").read_text()) >= before + 3, PATIENCE)
    run.send(signal.SIGINT)
    done = run.wait()
    assert done.code == 130, done.err
    assert [e["phase"] for e in done.events if e["event"] == "job_moved"][1:] == []
    assert _job(cluster, job) == ["other", "R"]
    on_slurm.write(
        "marin-build.toml", on_slurm.file("marin-build.toml").replace('["--hold"]', "[]")
    )
    again = on_slurm.run("apply", "--json")
    assert again.code == 0, again.err
    assert again.names_of("step_succeeded") == ["model"]
    assert _job(cluster, job) == ["other", "R"]
