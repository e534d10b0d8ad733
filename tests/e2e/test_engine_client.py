"""`remote` and `submit` with the client of an engine: a program whose functions run in jobs."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING

import pytest

from tests.servers.slurm import find_slurm

from .slurm_support import until_empty
from .support import BIN, PROGRAM

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.servers.slurm import Cluster

    from .support import Gate, Project

pytestmark = pytest.mark.skipif(not find_slurm(), reason="needs Slurm, and to be root")

HEAD = """\
import os
from contextlib import ExitStack
from pathlib import Path

from marin_build import (
    EngineClient, JobRequest, ResourceConfig, StepRunner, StepSpec, remote, set_current_client,
    submit,
)

HERE = Path(__file__).parent


def note(text):
    with open(HERE / "ran.txt", "a") as stream:
        stream.write(f"{text} {'job' if os.environ.get('SLURM_JOB_ID') else 'here'}\\n")


in_force = ExitStack()
in_force.enter_context(set_current_client(EngineClient("slurm")))
"""


@pytest.fixture
def program(project: Project, cluster: Cluster, gate: Gate) -> Iterator[Project]:
    """A project without a pipeline."""
    project.environment |= cluster.environment
    setup = f'program = "{PROGRAM}"\nsetup = ["export GATE={gate.folder}"]\npoll = 0.5\n'
    project.write("marin-build.toml", f'secrets = ["ACME_*"]\n[slurm]\n{setup}')
    yield project
    cluster.end_all_jobs()


def test_functions_of_a_program_run_in_jobs(program: Project) -> None:
    """Else a program that trains must be rewritten as a pipeline to leave this machine."""
    text = """
@remote(resources=ResourceConfig.with_cpu(2), env_vars={"WHERE": "there"})
def train(output_path: str) -> None:
    note("train " + os.environ["WHERE"])
    Path(output_path, "model").write_text("x")


StepRunner().run([StepSpec(name="train", fn=train)])
remote(note, resources=ResourceConfig.with_cpu(1))("again")
remote(note, resources=ResourceConfig.with_cpu(1))("again")  # each call runs, as a call does
words = ("bash", "-c", "echo command ${SLURM_JOB_ID:+job} {x} >> ran.txt")
job = submit(JobRequest("say", words))
print(job.wait(), job.status())
given_up = submit(JobRequest("long", ("sleep", "1000")))
given_up.terminate()
print(given_up.wait(raise_on_failure=False), given_up.job_id.startswith("remote/long-"))
"""
    program.write("away.py", HEAD + text)
    done = program.execute([BIN / "python", "away.py"])
    assert done.code == 0, done.err
    assert program.file("ran.txt").splitlines() == [
        "train there job",
        "again job",
        "again job",
        "command job {x}",
    ]
    assert done.out == "succeeded succeeded\nstopped True\n"


def test_a_failure_in_a_job_is_raised_in_the_program(program: Project) -> None:
    """Else a program goes on with what was never made, or nobody knows why it stopped."""
    text = """
@remote
def broken():
    raise ValueError("no <such> shard")

try:
    broken()
except Exception as error:
    print(type(error).__name__, error)
secret = remote(note, env_vars={"HF_TOKEN": "hf_abcdefghijklmnopqrstuvwxyz012345"})
try:
    secret("x")
except Exception as error:
    print(error)
try:
    remote(note, env_vars={"ACME_LOGIN": "abcdefghijklmnopqrstuvwxyz012345"})("x")
except Exception as error:
    print(error)
import threading
try:
    remote(threading.Lock().acquire)()
except Exception as error:
    print(error)
"""
    program.write("away.py", HEAD + text)
    done = program.execute([BIN / "python", "away.py"])
    assert done.code == 0, done.err
    assert "StepFailedError the job `broken-" in done.out
    assert "ValueError: no <such> shard" in done.out
    assert "the environment variable `HF_TOKEN` of the job" in done.out
    assert "the environment variable `ACME_LOGIN` of the job" in done.out
    assert "cannot be sent to another process" in done.out
    calls = program.tree(".marin-build")
    assert not any(b"abcdefghijklmnopqrstuvwxyz012345" in data for data in calls.values())


def test_an_interrupted_program_cancels_its_jobs(
    program: Project, gate: Gate, cluster: Cluster
) -> None:
    """Else Ctrl-C leaves jobs that nobody waits for, and that cost by the hour."""
    text = """
from gate import wait_at_gate
remote(wait_at_gate)("train")
"""
    program.write("away.py", HEAD + text)
    run = program.start_command([BIN / "python", "away.py"])
    assert gate.started_or_ended(run)
    run.send_group(signal.SIGINT)
    run.wait()
    until_empty(cluster)
