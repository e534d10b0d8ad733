"""Slurm, really run: a private cluster whose daemons, jobs and answers are really lost."""

from __future__ import annotations

import json
import signal
import time
from typing import TYPE_CHECKING

import pytest

from tests.servers.slurm import find_slurm

from .slurm_support import SETTINGS, fork_jobs, on_cluster, start_again, until_built, until_empty
from .support import BIN, OUTPUTS, PATIENCE, PROGRAM, wait_for_exits

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.servers.slurm import Cluster

    from .support import Gate, Project

pytestmark = pytest.mark.skipif(not find_slurm(), reason="needs Slurm, and to be root")

PIPELINE = """\
import os
from pathlib import Path

from gate import wait_at_gate
from marin_build import ResourceConfig, step

HERE = Path(__file__).parent


def ran(name):
    with open(HERE / "ran.txt", "a") as stream:
        stream.write(f"{name} {os.environ.get('SLURM_JOB_ID', 'here')}\\n")


@step
def corpus(output: Path, lines: int) -> int:
    ran("corpus")
    (output / "text").write_text("x" * lines)
    return lines


@step(resources=ResourceConfig.with_gpu("h100", 1, cpu=2))
def model(output: Path, corpus: Path, gated: bool, says: str) -> int:
    ran("model")
    print(says, flush=True)
    if gated:
        wait_at_gate("model")
    (output / "size").write_text((corpus / "text").read_text())
    return 1


@step
def report(output: Path, model: Path) -> int:
    ran("report")
    return len((model / "size").read_text())


def pipeline(lines: int = 3, gated: bool = False, says: str = ""):
    return report(model=model(corpus=corpus(lines=lines), gated=gated, says=says))
"""


@pytest.fixture
def on_slurm(project: Project, cluster: Cluster, gate: Gate) -> Iterator[Project]:
    """A project whose steps with resources go to the cluster."""
    with on_cluster(project, cluster, gate, PIPELINE) as made:
        yield made


def _ran(project: Project) -> list[tuple[str, bool]]:
    """Which steps ran, and whether in a job."""
    lines = project.file("ran.txt").splitlines()
    return [(line.split()[0], line.split()[1] != "here") for line in lines]


def _names(project: Project) -> list[str]:
    return [name for name, _ in _ran(project)]


def test_steps_that_ask_for_resources_run_as_jobs(on_slurm: Project) -> None:
    """Else a plan with GPU steps builds nothing, or everything on the login node."""
    done = on_slurm.run("apply", "--json")
    assert done.code == 0, done.err
    assert _ran(on_slurm) == [("corpus", False), ("model", True), ("report", False)]
    moved = [e for e in done.events if e["event"] == "job_moved"]
    assert moved[0]["phase"] == "queued"
    assert moved[0]["job"].startswith("slurm:")
    assert on_slurm.run("apply").out.startswith("nothing to do: 3 targets are reused\n")
    (attempt,) = (on_slurm.root / OUTPUTS).glob("model_*/.logs/attempt-0001.json")
    said = json.loads(attempt.read_text())
    assert (said["engine"], said["job"]) == ("slurm", moved[0]["job"])
    doctor = on_slurm.run("doctor", "--engine", "slurm")
    assert (doctor.code, "controller: answers" in doctor.out) == (0, True)


def test_what_a_job_prints_is_shown_where_it_was_submitted(on_slurm: Project, gate: Gate) -> None:
    """Else users look for a log on a cluster while the run that waits for it is silent."""
    settings = on_slurm.file("marin-build.toml")
    on_slurm.write("marin-build.toml", f"progress_every = 0.1\n{settings}")
    running = on_slurm.start("apply", "--stream-logs", "--set", "gated=true", "--set", "says=hello")
    lines = running.lines_until(" (slurm:")
    gate.wait_started()
    gate.let_go()
    done = running.wait()
    assert done.code == 0, done.err
    text = on_slurm.mask("".join(lines) + done.out)
    assert text.index("model_HASH | hello\n") < text.index("built     [2/3] model_HASH")


def test_a_forced_step_is_rebuilt_by_a_job(on_slurm: Project) -> None:
    """Else `--force` submits a job that finds the target built, and ends."""
    fork_jobs(on_slurm)
    assert on_slurm.run("apply").code == 0
    done = on_slurm.run("apply", "--force", "model")
    assert done.code == 0, done.err
    assert _ran(on_slurm)[3:] == [("model", True), ("report", False)]
    assert "nothing to do" in on_slurm.run("apply").out


def test_a_killed_apply_leaves_its_job_to_the_next_one(on_slurm: Project, gate: Gate) -> None:
    """Else a lost terminal means a second job for hours of work, or a lost one."""
    first = on_slurm.start("apply", "--set", "gated=true", "--json")
    job = first.wait_event("job_moved")["job"]
    gate.wait_started()
    first.send(signal.SIGKILL)
    first.wait()
    second = on_slurm.start("apply", "--set", "gated=true", "--json")
    assert second.wait_event("job_moved")["job"] == job
    gate.let_go()
    done = second.wait()
    assert done.code == 0, done.err
    assert _names(on_slurm) == ["corpus", "model", "report"]


def test_an_interrupt_cancels_the_job(on_slurm: Project, gate: Gate, cluster: Cluster) -> None:
    """Else Ctrl-C leaves jobs that nobody wants, and that cost by the hour."""
    run = on_slurm.start("apply", "--set", "gated=true", "--json")
    gate.wait_started()
    run.send(signal.SIGINT)
    done = run.wait()
    assert done.code == 130, done.err
    assert done.names_of("step_interrupted") == ["model"]
    until_empty(cluster)
    assert "interrupted" in on_slurm.run("plan", "--set", "gated=true").out


def test_a_failing_step_says_what_it_printed(on_slurm: Project) -> None:
    """Else a person must log in to a node to learn what a line of a traceback would tell."""
    fork_jobs(on_slurm)
    on_slurm.pipeline(PIPELINE.replace('ran("model")', 'raise ValueError("no <such> shard")'))
    done = on_slurm.run("apply")
    assert done.code == 1
    assert "ValueError: no <such> shard" in done.err + done.out
    assert "no <such> shard" in on_slurm.run("logs", "model").out


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        ('program = "gone"', "gone: not found"),
        ('partition = "nowhere"', "invalid partition name specified"),
        ('gpu_gres = "quantum"', "invalid generic resource"),
    ],
)
def test_what_the_cluster_cannot_run_is_told_in_its_own_words(
    on_slurm: Project, setting: str, said: str
) -> None:
    """Else a mistyped partition waits for ever, or fails with a bare exit code."""
    program = "" if setting.startswith("program") else f'program = "{PROGRAM}"\n'
    on_slurm.write("marin-build.toml", f"{SETTINGS}{program}{setting}\n")
    done = on_slurm.run("apply")
    assert done.code == 1
    assert said in (done.out + done.err).lower()


def test_a_cluster_that_is_not_there_is_told_before_anything_runs(on_slurm: Project) -> None:
    """Else the cheap steps run, and the dear ones are found impossible afterwards."""
    on_slurm.environment["SLURM_CONF"] = str(on_slurm.root / "no.conf")
    done = on_slurm.run("apply")
    assert done.code == 4
    assert "SLURM_CONF" in done.err
    assert not (on_slurm.root / "ran.txt").exists()


def test_a_controller_that_is_away_is_waited_for(
    on_slurm: Project, gate: Gate, cluster: Cluster
) -> None:
    """Else a restart of the controller fails the runs of a whole site."""
    run = on_slurm.start("apply", "--set", "gated=true")
    gate.wait_started()
    cluster.kill("slurmctld")
    try:
        line = ""
        while "asking again until it answers" not in line:
            line = run.process.stderr.readline()  # type: ignore[union-attr]
            assert line
        gate.let_go()
        until_built(on_slurm, "report")  # without the queue: the store says that the job ended
    finally:
        cluster.restart_controller()
    done = run.wait()
    assert done.code == 0, done.err
    assert _names(on_slurm) == ["corpus", "model", "report"]


def test_a_submit_whose_answer_is_lost_runs_once(on_slurm: Project) -> None:
    """Else every time-out of a busy controller doubles a job."""
    folder = on_slurm.root / "bin"
    folder.mkdir()
    sbatch = folder / "sbatch"
    sbatch.write_text(
        '#!/bin/sh\n/usr/bin/sbatch "$@" || exit\n'
        f"[ -e {folder}/lost ] && exit 0\ntouch {folder}/lost\n"
        "echo 'sbatch: error: Batch job submission failed: Socket timed out on send/recv' >&2\n"
        "exit 1\n"
    )
    sbatch.chmod(0o755)
    on_slurm.environment["PATH"] = f"{folder}:{BIN}:/usr/bin:/bin"
    done = on_slurm.run("apply", "--json")
    assert done.code == 0, done.err
    assert (folder / "lost").exists()
    assert _names(on_slurm) == ["corpus", "model", "report"]


def test_a_detached_plan_needs_nobody(on_slurm: Project, gate: Gate, cluster: Cluster) -> None:
    """Else a person keeps a terminal open for days, or cannot see whether anything waits."""
    fork_jobs(on_slurm)
    gated = ("--set", "gated=true")
    done = on_slurm.run("apply", "--detach", *gated)
    assert done.code == 0, done.err
    assert "3 targets have jobs" in done.out
    job = done.out.splitlines()[2].split()[-1]
    gate.wait_started()
    told = on_slurm.run("status", "--json", *gated).document
    states = {each["name"]: each["state"] for each in told["targets"]}
    assert states == {"corpus": "built", "model": "running", "report": "queued"}
    (queued,) = (each["job"] for each in told["targets"] if each["job"])
    assert queued == {"job": job, "words": "PENDING (Dependency)", "place": None, "hint": None}
    assert told["silent_queues"] == {}
    (line,) = on_slurm.run("status", "report", *gated).out.splitlines()[:-1]
    assert line.startswith("queued  report_")
    assert line.endswith(f"  {job}, PENDING (Dependency)")
    log = on_slurm.run("logs", "report", *gated)
    assert f"job: {job}, PENDING (Dependency)" in log.err
    gone = {"SLURM_CONF": str(on_slurm.root / "no.conf")}
    away = on_slurm.run("status", *gated, env=gone)
    assert (away.code, away.out.splitlines()[0].split()[0]) == (0, "running")
    assert away.out.endswith("3 targets: 1 running, 1 not built, 1 built\n")
    assert "note: what waits in the queue of slurm is not known: SLURM_CONF names" in away.err
    gate.let_go()
    until_built(on_slurm, "report")
    assert _ran(on_slurm) == [("corpus", True), ("model", True), ("report", True)]
    until_empty(cluster)
    assert "nothing to do" in on_slurm.run("apply", *gated).out


def test_a_detached_failure_blocks_what_needs_it(on_slurm: Project, cluster: Cluster) -> None:
    """Else a job waits for ever for what will never be built, or builds from half of it."""
    fork_jobs(on_slurm)
    on_slurm.pipeline(PIPELINE.replace('ran("model")', 'raise ValueError("no shard")'))
    assert on_slurm.run("apply", "--detach").code == 0
    until_empty(cluster)
    assert _names(on_slurm) == ["corpus"]
    assert "failed" in on_slurm.run("plan").out


def test_a_saved_plan_is_submitted_by_its_script_and_by_apply(
    on_slurm: Project, cluster: Cluster
) -> None:
    """Else what was reviewed is not what runs."""
    fork_jobs(on_slurm)
    assert on_slurm.run("plan", "-o", "there").code == 0
    done = on_slurm.bash("there/submit.sh")
    assert done.code == 0, done.err
    until_built(on_slurm, "report")
    until_empty(cluster)
    assert _names(on_slurm) == ["corpus", "model", "report"]
    done = on_slurm.run("apply", "there")
    assert done.code == 0, done.err
    assert _names(on_slurm) == ["corpus", "model", "report"]


def test_a_job_that_slurm_starts_again_is_no_failure_of_the_step(
    on_slurm: Project, gate: Gate, cluster: Cluster
) -> None:
    """Else a broken machine counts as a broken step, or two jobs write one output."""
    run = on_slurm.start("apply", "--set", "gated=true", "--json")
    job = run.wait_event("job_moved")["job"].partition(":")[2]
    _, first = gate.wait_started()
    cluster.call("scontrol", "requeue", job)
    wait_for_exits([first], time.monotonic() + PATIENCE)
    start_again(cluster, job)
    gate.wait_started()
    gate.let_go()
    done = run.wait()
    assert done.code == 0, done.err
    assert done.names_of("step_failed") == []
    assert _names(on_slurm) == ["corpus", "model", "model", "report"]


def test_a_step_out_of_time_is_ended_by_itself_or_by_slurm(
    on_slurm: Project, gate: Gate, cluster: Cluster
) -> None:
    """Else a step that hangs takes a node for days, or is called a lost machine and tried again."""
    limited = PIPELINE.replace("(resources=ResourceConfig", "(timeout=1, resources=ResourceConfig")
    # It says nothing at the gate: its time may be over before it gets there.
    on_slurm.pipeline(limited.replace('wait_at_gate("model")', "os.read(os.pipe()[0], 1)"))
    done = on_slurm.run("apply", "--set", "gated=true", "--json")
    assert done.code == 1
    (failed,) = [event for event in done.events if event["event"] == "step_failed"]
    assert (failed["cause"], failed["exit_code"]) == ("timeout", 124)

    on_slurm.pipeline(PIPELINE)
    run = on_slurm.start("apply", "--set", "gated=true", "--set", "lines=4", "--json")
    job = run.wait_event("job_moved")["job"].partition(":")[2]
    gate.wait_started()
    # A time limit has whole minutes; Slurm looks twice a minute whose time is over.
    cluster.call("scontrol", "update", f"JobId={job}", "EndTime=now")
    done = run.wait()
    assert done.code == 1, done.err
    (failed,) = [event for event in done.events if event["event"] == "step_failed"]
    assert failed["cause"] == "timeout"
    assert "TIMEOUT" in failed["message"]
