"""Ray, really run: a head in a network of its own, whose jobs, answers and machine are lost."""

from __future__ import annotations

import json
import shutil
import signal
import time
from typing import TYPE_CHECKING

import pytest

from tests.servers.ray import find_ray, forgetful, ray_head
from tests.servers.slurm import wait_until

from .support import OUTPUTS, PATIENCE, PROGRAM, is_running, shellcheck, wait_for_exits

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.servers.ray import Head

    from .support import Gate, Project

pytestmark = pytest.mark.skipif(not find_ray(), reason="needs Ray in .venv/ray, ip, and to be root")

PIPELINE = """\
import os
from pathlib import Path

from gate import wait_at_gate
from marin_build import ResourceConfig, step

HERE = Path(__file__).parent
ROOMS = {
    "cpu": ResourceConfig.with_cpu(0.5, ram="64Mi"),
    "gpu": ResourceConfig.with_gpu("h100", 1, cpu=1),
    "tpu": ResourceConfig.with_tpu("v4-8", cpu=1),
    "huge": ResourceConfig.with_gpu("h100", 8),
}


def ran(name):
    with open(HERE / "ran.txt", "a") as stream:
        stream.write(f"{name} {'job' if 'RAY_ADDRESS' in os.environ else 'here'}\\n")


@step
def corpus(output: Path, lines: int) -> int:
    ran("corpus")
    (output / "text").write_text("x" * lines)
    return lines


def train(output: Path, corpus: Path, what: str) -> dict:
    ran("model")
    if what == "wait":
        wait_at_gate("model")
    if what == "fail":
        raise ValueError("no <such> shard")
    (output / "size").write_text((corpus / "text").read_text())
    names = ("CUDA_VISIBLE_DEVICES", "TPU_VISIBLE_CHIPS")
    return {name: os.environ[name] for name in names if name in os.environ}


@step
def report(output: Path, model: Path) -> int:
    ran("report")
    return len((model / "size").read_text())


def pipeline(lines: int = 3, what: str = "plain", room: str = "gpu"):
    model = step(train, name="model", resources=ROOMS[room])
    return report(model=model(corpus=corpus(lines=lines), what=what))
"""
START_TIMEOUT = 16
"""Seconds after which Ray gives up a job that waits; its default is 15 minutes.

A busy machine needs some to start one that need not wait.
"""


@pytest.fixture(scope="module")
def head() -> Iterator[Head]:
    """One head for the tests of this file."""
    with ray_head(START_TIMEOUT) as made:
        yield made


@pytest.fixture
def on_ray(project: Project, head: Head, gate: Gate) -> Iterator[Project]:
    """A project whose steps with resources go to the cluster."""
    project.environment |= head.environment
    project.write("pipeline.py", PIPELINE)
    _configure(project, gate, "")
    yield project
    head.end_all_jobs()  # what one test leaves must not fail the next


def _configure(project: Project, gate: Gate, more: str, program: object = PROGRAM) -> None:
    project.write(
        "marin-build.toml",
        f'engine = "ray"\n[ray]\npoll = 0.5\nprogram = "{program}"\n{more}'
        f'[ray.runtime_env.env_vars]\nGATE = "{gate.folder}"\n',
    )


def _ran(project: Project) -> list[str]:
    return project.file("ran.txt").splitlines()


def test_steps_that_ask_for_resources_run_as_jobs(on_ray: Project, head: Head) -> None:
    """Else a plan with GPU steps builds nothing, or everything where it was started."""
    done = on_ray.run("apply", "--json")
    assert done.code == 0, done.err
    assert _ran(on_ray) == ["corpus here", "model job", "report here"]
    moved = [e for e in done.events if e["event"] == "job_moved"]
    assert moved[0]["phase"] == "queued"  # it may end before it was seen to run
    said = on_ray.attempt_of("model")
    assert (said["engine"], said["job"]) == ("ray", moved[0]["job"])
    (row,) = [r for r in head.ask("/api/jobs/") if f"ray:{r['submission_id']}" == said["job"]]
    assert row["metadata"]["step"] == "model"
    assert head.token not in json.dumps(row)
    artifact = on_ray.output_of("model") / ".artifact.json"
    assert json.loads(artifact.read_text()) == {"CUDA_VISIBLE_DEVICES": "0"}
    assert on_ray.run("apply").out.startswith("nothing to do: 3 targets are reused\n")

    # Ray takes an id once: a forced build has a job of another one.
    done = on_ray.run("apply", "--force", "model")
    assert done.code == 0, done.err
    assert _ran(on_ray)[3:] == ["model job", "report here"]

    shutil.rmtree(on_ray.root / OUTPUTS)
    done = on_ray.run("apply", "--set", "room=tpu")  # the head of a slice, and its chips
    assert done.code == 0, done.err
    assert json.loads(artifact.read_text()) == {"TPU_VISIBLE_CHIPS": "0,1,2,3"}
    doctor = on_ray.run("doctor", "--engine", "ray")
    assert doctor.code == 0
    assert "1 node with 2 CPU, 1 GPU, 4 TPU, 1 TPU-v4-8-head" in doctor.out


def test_a_killed_apply_leaves_its_job_to_the_next_one(on_ray: Project, gate: Gate) -> None:
    """Else a lost terminal means a second job for hours of work, or a lost one."""
    first = on_ray.start("apply", "--set", "what=wait", "--json")
    job = first.wait_event("job_moved")["job"]
    gate.wait_started()
    first.send(signal.SIGKILL)
    first.wait()
    second = on_ray.start("apply", "--set", "what=wait", "--json")
    assert second.wait_event("job_moved")["job"] == job
    gate.let_go()
    done = second.wait()
    assert done.code == 0, done.err
    assert _ran(on_ray) == ["corpus here", "model job", "report here"]


def test_an_interrupt_stops_the_job(on_ray: Project, gate: Gate, head: Head) -> None:
    """Else Ctrl-C leaves jobs behind that hold accelerators."""
    run = on_ray.start("apply", "--set", "what=wait", "--json")
    _, body = gate.wait_started()
    run.send(signal.SIGINT)
    done = run.wait()
    assert done.code == 130, done.err
    assert done.names_of("step_interrupted") == ["model"]
    assert on_ray.attempt_of("model")["result"] == "interrupted"
    wait_until(lambda: "RUNNING" not in head.jobs().values(), PATIENCE)
    wait_for_exits([body], time.monotonic() + PATIENCE)
    assert not is_running(body)

    # What a person stops in Ray is no failure, and is not started again.
    run = on_ray.start("apply", "--set", "what=wait", "--json")
    job = run.wait_event("job_moved")["job"].removeprefix("ray:")
    gate.wait_started()
    head.ask(f"/api/jobs/{job}/stop", "POST")
    done = run.wait()
    assert done.names_of("step_stopped") == ["model"]
    assert "was cancelled" in done.out


def test_a_step_that_fails_is_told_in_its_own_words(on_ray: Project, gate: Gate) -> None:
    """Else a person reads Ray's log of a whole job to find one line."""
    done = on_ray.run("apply", "--set", "what=fail")
    assert done.code == 1
    assert "ValueError: no <such> shard" in done.out + done.err
    # What fails outside the step has only the words of the shell.
    _configure(on_ray, gate, "", program="/no/such program")
    done = on_ray.run("apply")
    assert done.code == 1
    assert "exec: /no/such program: not found" in done.out + done.err
    assert ".marin-build/ray/mb-model_" in done.out + done.err


def test_a_request_that_no_node_can_meet_is_told(on_ray: Project, head: Head) -> None:
    """Else a person waits for days for hardware that the cluster does not have."""
    run = on_ray.start("apply", "--set", "room=huge", "--json")
    event = run.wait_event("job_moved")
    while not event["message"]:
        event = run.wait_event("job_moved")
    assert event["phase"] == "queued"
    assert event["message"].startswith(
        "PENDING: no node has 8 GPU now; the cluster has 1 node with"
    )

    # Ray gives a job up that waits for long: that is no failure, another one waits.
    name, _, number = event["job"].removeprefix("ray:").rpartition("-")
    assert number == "1"
    wait_until(lambda: f"{name}-2" in head.jobs(), PATIENCE)

    # Nor can Ray take it back. Nobody waits for that.
    run.send(signal.SIGINT)
    done = run.wait()
    assert done.code == 130, done.err
    assert done.names_of("step_failed") == []


def test_a_head_that_starts_anew_has_lost_its_jobs(on_ray: Project, gate: Gate, head: Head) -> None:
    """Else a run waits for ever for a job that nobody knows, or fails with the head."""
    run = on_ray.start("apply", "--set", "what=wait", "--json")
    _, body = gate.wait_started()
    head.kill()
    wait_for_exits([body], time.monotonic() + PATIENCE)
    line = ""
    while "asking again until it answers" not in line:
        line = run.process.stderr.readline()  # type: ignore[union-attr]
        assert line
    head.start()
    gate.wait_started()
    gate.let_go()
    done = run.wait()
    assert done.code == 0, done.err
    (failed,) = done.names_of("step_failed")
    assert failed == "model"
    record = json.loads((on_ray.output_of("model") / ".executor_info").read_text())
    assert record["attempt"] == 2


def test_a_submit_whose_answer_is_lost_runs_once(on_ray: Project, head: Head, gate: Gate) -> None:
    """Else every time-out of a busy head doubles a job, or fails a step."""
    with forgetful(head) as (address, answers):
        on_ray.environment["RAY_API_SERVER_ADDRESS"] = address
        run = on_ray.start("apply", "--set", "what=wait", "--json")
        assert run.wait_event("job_moved")["message"] == "adopted"
        gate.wait_started()
        gate.let_go()
        done = run.wait()
    assert done.code == 0, done.err
    # The list before a second submit does not name the first job, so Ray refuses it. There is none
    # if the first job has taken its lease by then.
    first, *others = [status for method, status in answers if method == "POST"]
    assert first == 200
    assert len(others) <= 1
    assert set(others) <= {400, 500}
    assert _ran(on_ray) == ["corpus here", "model job", "report here"]


def test_a_saved_plan_is_submitted_by_its_script_and_by_apply(
    on_ray: Project, head: Head, gate: Gate
) -> None:
    """Else what was reviewed is not what runs, or loads other code than was reviewed."""
    _configure(on_ray, gate, 'code_from = "bundle"\n')
    assert on_ray.run("plan", "-o", "there").code == 0
    shellcheck(on_ray.root / "there" / "submit.sh")
    on_ray.write("gate.py", "raise SystemExit('not this one')\n")
    on_ray.environment["MARIN_BUILD_POLL"] = "0.2"
    done = on_ray.bash("there/submit.sh")
    assert done.code == 0, done.err
    targets = [line.split()[1] for line in done.out.splitlines() if line.startswith("submitted")]
    assert [name.partition("_")[0] for name in targets] == ["corpus", "model", "report"]
    wait_until(lambda: list((on_ray.root / OUTPUTS).glob("report_*/.executor_info")), PATIENCE)
    on_ray.write("gate.py", gate.MODULE)
    done = on_ray.run("apply", "there")
    assert done.code == 0, done.err
    assert "0 to build" in done.out or "nothing to do" in done.out


@pytest.mark.parametrize(
    ("variable", "value", "said"),
    [
        ("RAY_AUTH_TOKEN", "", "without a token"),
        ("RAY_API_SERVER_ADDRESS", "http://127.0.0.1:1", "connection refused"),
        ("RAY_API_SERVER_ADDRESS", "127.0.0.1:6379", "is no URL of a dashboard"),
    ],
)
def test_a_cluster_that_is_not_there_is_told_before_anything_runs(
    on_ray: Project, variable: str, value: str, said: str
) -> None:
    """Else the cheap steps run, and the dear ones are found impossible afterwards."""
    on_ray.environment[variable] = value
    done = on_ray.run("apply")
    assert done.code in (2, 4)
    assert said in done.err
    assert not (on_ray.root / "ran.txt").exists()
